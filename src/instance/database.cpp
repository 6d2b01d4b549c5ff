#include "instance/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace doppel::instance {
namespace {

constexpr const char* kOpen = "open the instances";
constexpr const char* kRead = "read the instances";
constexpr const char* kChange = "change the instances";

// What brings the tables of version N to N + 1.
constexpr std::array<const char*, Database::kVersion> kMigrations{
    "CREATE TABLE instances(id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,"
    " deleted INTEGER, document TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX live_names ON instances(name) WHERE deleted IS NULL;"};

constexpr const char* kColumns = "id, name, created, deleted, document";

}  // namespace

void Database::Close::operator()(sqlite3* database) const {
    sqlite3_close_v2(database);
}

// A prepared statement with its parameters, in their order.
class Database::Statement {
  public:
    Statement(const Database& database, const std::string& sql) : database_(database) {
        sqlite3_prepare_v2(database.database_.get(), sql.c_str(), static_cast<int>(sql.size()), &statement_, nullptr);
    }
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(const std::string& text) {
        sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
        return *this;
    }
    Statement& bind(std::optional<uint64_t> number) {
        bound_++;
        if (number) sqlite3_bind_int64(statement_, bound_, static_cast<sqlite3_int64>(*number));
        return *this;  // what is not bound is NULL
    }
    // Whether there is another row.
    Result<bool> step(const char* purpose) {
        const int code = statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_);
        if (code != SQLITE_ROW && code != SQLITE_DONE) return fail(database_.error(purpose));
        return code == SQLITE_ROW;
    }
    std::string text(int column) const {
        const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
        return bytes == nullptr ? std::string()
                                : std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
    }
    uint64_t number(int column) const { return static_cast<uint64_t>(sqlite3_column_int64(statement_, column)); }
    bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
    Row row() const {
        constexpr int kDeleted = 3;
        Row row{text(0), text(1), number(2), std::nullopt, text(kDeleted + 1)};
        if (!is_null(kDeleted)) row.deleted = number(kDeleted);
        return row;
    }

  private:
    const Database& database_;
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
};

Database::Database(sqlite3* database, std::filesystem::path path) : database_(database), path_(std::move(path)) {}
Database::Database(Database&&) noexcept = default;
Database::~Database() = default;

Error Database::error(std::string failed) const {
    const std::string subject = path_.string();
    const int code = sqlite3_errcode(database_.get()) & 0xff;
    switch (code) {
        case SQLITE_NOTADB:
        case SQLITE_CORRUPT:
            return {std::move(failed), subject, "it is damaged",
                    "put a copy in its place, or move it away to begin anew; disks and logs are not in it"};
        case SQLITE_FULL:
            return Error::system(std::move(failed), subject, ENOSPC);
        case SQLITE_READONLY:
            return Error::system(std::move(failed), subject, why_read_only_);
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {std::move(failed), subject, "another command holds it for too long", "try again"};
        case SQLITE_CANTOPEN:
        case SQLITE_IOERR: {
            const int number = sqlite3_system_errno(database_.get());
            if (number != 0) return Error::system(std::move(failed), subject, number);
            break;
        }
        case SQLITE_CONSTRAINT:
            return {std::move(failed), subject, "the name is taken", "choose another one"};
        default:
            break;
    }
    return {std::move(failed), subject, sqlite3_errmsg(database_.get()), ""};
}

Database Database::opened(const std::filesystem::path& path, const std::string& name, int flags) {
    sqlite3* raw = nullptr;
    sqlite3_open_v2(name.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    return {raw, path};
}

// Without the files beside it that writers and readers share: nobody can write now anyway, for the reason `why`.
Result<Database> Database::open_unchanging(const std::filesystem::path& path, int why) {
    Database database = opened(path, "file:" + path.string() + "?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    database.why_read_only_ = why;
    DOPPEL_TRY(const int version, database.version());
    if (version != kVersion) return fail(Error::system(kOpen, path, why));
    return database;
}

Result<Database> Database::open(const std::filesystem::path& path) {
    const bool exists = access(path.c_str(), F_OK) == 0;
    if (exists && access(path.parent_path().c_str(), W_OK) != 0) return open_unchanging(path, errno);
    // SQLite would make it readable for others.
    if (!exists) close(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    Database database = opened(path, path.string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (sqlite3_errcode(database.database_.get()) != SQLITE_OK) return fail(database.error(kOpen));
    sqlite3_busy_timeout(database.database_.get(), kPatience);
    if (const auto prepared = database.prepare(); !prepared) {
        const bool full = sqlite3_system_errno(database.database_.get()) == ENOSPC;
        struct stat log {};
        const bool pending = stat((path.string() + "-wal").c_str(), &log) == 0 && log.st_size > 0;
        if (exists && full && !pending) return open_unchanging(path, ENOSPC);
        return fail(prepared.error());
    }
    return database;
}

Result<int> Database::version() const {
    Statement statement(*this, "PRAGMA user_version");
    DOPPEL_CHECK(statement.step(kOpen));
    return static_cast<int>(statement.number(0));
}

Result<> Database::prepare() {
    DOPPEL_TRY(int now, version());
    if (now == kVersion) return {};
    if (now > kVersion)
        return fail(
            Error{kOpen, path_.string(),
                  "its version is " + std::to_string(now) + ", and this doppel knows " + std::to_string(kVersion),
                  "use the newer doppel that made it"});
    DOPPEL_CHECK(begin_log());
    return change([&]() -> Result<> {
        DOPPEL_TRY(now, version());  // somebody else may have been faster
        for (; now < kVersion; now++) DOPPEL_CHECK(execute(kMigrations[static_cast<size_t>(now)]));
        return execute(("PRAGMA user_version=" + std::to_string(kVersion)).c_str());
    });
}

// SQLite does not wait here when several begin at once: each holds what another one needs.
Result<> Database::begin_log() const {
    constexpr int kStep = 5;  // milliseconds
    for (int waited = 0;; waited += kStep) {
        const auto begun = execute("PRAGMA journal_mode=WAL");
        const bool busy = (sqlite3_errcode(database_.get()) & 0xff) == SQLITE_BUSY;
        if (begun || !busy || waited >= kPatience) return begun;
        usleep(kStep * 1000);
    }
}

Result<> Database::execute(const char* sql) const {
    if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    return fail(error(kChange));
}

Result<> Database::change(const std::function<Result<>()>& work) {
    DOPPEL_CHECK(execute("BEGIN IMMEDIATE"));
    Result<> done = work();
    if (done) done = execute("COMMIT");
    if (!done) (void)execute("ROLLBACK");  // SQLite may have done it by itself
    return done;
}

Result<std::vector<Row>> Database::list(bool deleted) const {
    Statement statement(*this, std::string("SELECT ") + kColumns + " FROM instances WHERE deleted IS " +
                                   (deleted ? "NOT NULL ORDER BY deleted DESC" : "NULL ORDER BY name"));
    std::vector<Row> rows;
    while (true) {
        DOPPEL_TRY(const bool more, statement.step(kRead));
        if (!more) return rows;
        rows.push_back(statement.row());
    }
}

Result<std::optional<Row>> Database::find(const std::string& id) const {
    Statement statement(*this, std::string("SELECT ") + kColumns + " FROM instances WHERE id = ?");
    DOPPEL_TRY(const bool there, statement.bind(id).step(kRead));
    return there ? std::optional(statement.row()) : std::nullopt;
}

Result<> Database::insert(const Row& row) {
    Statement statement(*this, std::string("INSERT INTO instances(") + kColumns + ") VALUES(?, ?, ?, ?, ?)");
    statement.bind(row.id).bind(row.name).bind(row.created).bind(row.deleted).bind(row.document);
    DOPPEL_CHECK(statement.step("make the instance"));
    return {};
}

Result<> Database::rename(const std::string& id, const std::string& name) {
    Statement statement(*this, "UPDATE instances SET name = ? WHERE id = ?");
    DOPPEL_CHECK(statement.bind(name).bind(id).step("rename"));
    return {};
}

Result<> Database::set_document(const std::string& id, const std::string& document) {
    Statement statement(*this, "UPDATE instances SET document = ? WHERE id = ?");
    DOPPEL_CHECK(statement.bind(document).bind(id).step(kChange));
    return {};
}

Result<> Database::set_deleted(const std::string& id, std::optional<uint64_t> deleted) {
    Statement statement(*this, "UPDATE instances SET deleted = ? WHERE id = ?");
    DOPPEL_CHECK(statement.bind(deleted).bind(id).step(kChange));
    return {};
}

Result<> Database::erase(const std::string& id) {
    Statement statement(*this, "DELETE FROM instances WHERE id = ?");
    DOPPEL_CHECK(statement.bind(id).step(kChange));
    return {};
}

}  // namespace doppel::instance
