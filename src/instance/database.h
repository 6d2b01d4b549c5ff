// The database of instances: their names and what they are asked to be, nothing of what runs. SQLite with a
// write-ahead log, so that readers and one writer do not wait for each other.
#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

struct sqlite3;

namespace doppel::instance {

// Times are nanoseconds since 1970.
struct Row {
    std::string id;  // 16 hexadecimal digits; never changes
    std::string name;
    uint64_t created = 0;
    std::optional<uint64_t> deleted;  // since when it can be brought back
    std::string document;             // JSON (document.h)
};

// One thread. A file that is of a newer version, damaged, not writable or on a full disk is an error that says so.
class Database {
  public:
    static constexpr int kVersion = 1;        // of its tables
    static constexpr int kPatience = 30'000;  // milliseconds that a writer waits for others

    // Makes the file and brings older tables to this version, if the folder can be written to.
    static Result<Database> open(const std::filesystem::path& path);
    Database(Database&&) noexcept;
    ~Database();

    Result<std::vector<Row>> list(bool deleted) const;  // by name, or the last deleted first
    Result<std::optional<Row>> find(const std::string& id) const;

    // Runs `work` as one transaction, alone among writers: all of it happens or nothing.
    Result<> change(const std::function<Result<>()>& work);
    // Within `change`. A name that a live instance has already is an error.
    Result<> insert(const Row& row);
    Result<> rename(const std::string& id, const std::string& name);
    Result<> set_document(const std::string& id, const std::string& document);
    Result<> set_deleted(const std::string& id, std::optional<uint64_t> deleted);
    Result<> erase(const std::string& id);

  private:
    class Statement;
    struct Close {
        void operator()(sqlite3* database) const;
    };
    Database(sqlite3* database, std::filesystem::path path);
    static Database opened(const std::filesystem::path& path, const std::string& name, int flags);
    static Result<Database> open_unchanging(const std::filesystem::path& path, int why);
    Result<> prepare();
    Result<> begin_log() const;
    Result<> execute(const char* sql) const;
    Result<int> version() const;
    Error error(std::string failed) const;

    std::unique_ptr<sqlite3, Close> database_;
    std::filesystem::path path_;
    int why_read_only_ = EROFS;  // an errno value
};

}  // namespace doppel::instance
