#include "instance/store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "instance/limits.h"
#include "instance/name.h"

namespace doppel::instance {

namespace fs = std::filesystem;

std::string_view name_of(RunState state) {
    constexpr std::array<std::string_view, 7> kNames{"created",    "starting", "running", "paused",
                                                     "restarting", "stopping", "stopped"};
    return kNames[static_cast<size_t>(state)];
}

Result<Store> Store::open() {
    DOPPEL_TRY(StateFolder folder, StateFolder::of_user());
    // Where it cannot be made the database says why.
    const auto made = folder.make();
    if (!made && access(folder.database().c_str(), F_OK) != 0) return fail(made.error());
    DOPPEL_TRY(Database database, Database::open(folder.database()));
    return Store(std::move(folder), std::move(database));
}

RunState Store::state_of(const fs::path& directory, std::optional<Record>& record) const {
    record = read_record(directory);
    if (!record) return RunState::kCreated;
    const UniqueFd lock(::open((directory / kLockFile).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!lock || !is_locked(lock.get(), kRunsByte)) return RunState::kStopped;
    // Without its keeper it is about to end; or who starts it holds the lock, and the record is of the run before.
    const bool kept = open_holder(record->keeper, directory).has_value();
    if (!kept) return record->phase == Phase::kEnded ? RunState::kStarting : RunState::kStopping;
    switch (record->phase) {
        case Phase::kStarting:
            return RunState::kStarting;
        case Phase::kRunning:
            return RunState::kRunning;
        case Phase::kRestarting:
            return RunState::kRestarting;
        case Phase::kEnded:
            break;
    }
    return RunState::kStopping;
}

Result<Instance> Store::see(Row row) {
    Instance instance;
    auto document = document_from_json(row.document);
    if (!document)
        return fail(Error{"read the instance", row.name, document.error().message(), "doppel purge or rm removes it"});
    instance.document = std::move(*document);
    instance.state = state_of(folder_.directory_of(row.id), instance.record);
    instance.row = std::move(row);
    if (instance.state == RunState::kStopped && instance.record->phase != Phase::kEnded) repair(instance);
    if (!instance.runs()) remove_cgroups(instance);
    return instance;
}

void Store::repair(Instance& instance) {
    const fs::path directory = folder_.directory_of(instance.row.id);
    const auto hold = ChangesLock::try_take(directory);
    if (!hold) return;  // who changes it puts it right
    const auto lock = open_lock_file(directory);
    if (!lock || !try_lock(lock->get(), kRunsByte)) return;
    instance.record = read_record(directory);
    if (!instance.record || instance.record->phase == Phase::kEnded) return;
    instance.record->phase = Phase::kEnded;
    instance.record->machine = 0;
    const UniqueFd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd || !write_record(fd.get(), *instance.record)) return;
    std::error_code ignored;
    fs::remove_all(folder_.runtime_of(instance.row.id), ignored);
    tell(instance, "lost");
    log_warning("{}: its keeper was killed, and the machine ended with it; doppel start starts it again",
                instance.row.name);
}

// What its keeper left when it was killed, or could not remove yet.
void Store::remove_cgroups(const Instance& instance) const {
    const fs::path directory = folder_.directory_of(instance.row.id);
    if (!has_cgroups(directory)) return;
    const auto hold = ChangesLock::try_take(directory);
    if (!hold) return;
    const auto lock = open_lock_file(directory);
    if (lock && try_lock(lock->get(), kRunsByte)) release_cgroups(directory, Leftovers::kLeave);
}

bool Store::reap(const Instance& instance) {
    if (!instance.document.remove || instance.runs()) return false;
    // Whoever makes it holds it until it runs; when it has ended, it is its keeper who removes it.
    const bool held = !ChangesLock::try_take(folder_.directory_of(instance.row.id));
    if (held) return instance.state == RunState::kStopped;
    return erase(instance).has_value();
}

Result<std::vector<Instance>> Store::list(bool deleted) {
    DOPPEL_TRY(std::vector<Row> rows, database_.list(deleted));
    std::vector<Instance> instances;
    for (Row& row : rows) {
        auto instance = see(std::move(row));
        if (instance && !deleted && reap(*instance)) continue;
        if (instance)
            instances.push_back(std::move(*instance));
        else
            log_error("{}", instance.error().message());
    }
    return instances;
}

Result<Instance> Store::find(std::string_view name, bool deleted) {
    DOPPEL_TRY(std::vector<Row> rows, database_.list(deleted));
    std::vector<std::string> names;
    for (const Row& row : rows) names.push_back(row.name);
    DOPPEL_TRY(const size_t index, resolve_name(name, names));
    return see(std::move(rows[index]));
}

Result<std::optional<Instance>> Store::find_id(const std::string& id) {
    DOPPEL_TRY(auto row, database_.find(id));
    if (!row) return std::optional<Instance>();
    DOPPEL_TRY(Instance instance, see(std::move(*row)));
    return std::optional(std::move(instance));
}

Result<Instance> Store::look_again(const Instance& instance) {
    DOPPEL_TRY(auto again, find_id(instance.row.id));
    if (!again || again->row.deleted)
        return fail(Error{"find the instance", instance.row.name, "another command has removed it", ""});
    return std::move(*again);
}

Result<Store::Made> Store::make(std::string name, const Document& document) {
    if (!name.empty()) DOPPEL_CHECK(check_name(name));
    DOPPEL_CHECK(validate(document));
    Row row{new_id(), name, time_now(), std::nullopt, to_json(document)};
    const fs::path directory = folder_.directory_of(row.id);
    DOPPEL_CHECK(folder_.make());
    // The directory first, held: once there is a row, others see the instance.
    std::error_code error;
    fs::create_directory(directory, error);
    if (error) return fail(Error::system("make the instance", directory, error.value()));
    auto hold = ChangesLock::wait(directory);
    if (!hold) return fail(hold.error());
    const auto stored = database_.change([&]() -> Result<> {
        DOPPEL_TRY(const std::vector<Row> others, database_.list(false));
        const auto taken = [&](const std::string& wanted) {
            return std::ranges::any_of(others, [&](const Row& other) { return other.name == wanted; });
        };
        if (row.name.empty()) row.name = generated_name(taken);
        if (taken(row.name))
            return fail(Error{"make the instance", row.name, "there is one of that name",
                              "choose another one, or remove it: doppel rm " + row.name});
        return database_.insert(row);
    });
    if (!stored) {
        fs::remove_all(directory, error);
        return fail(stored.error());
    }
    Instance instance;
    instance.row = std::move(row);
    instance.document = document;
    tell(instance, "created");
    return Made{std::move(instance), std::move(*hold)};
}

Result<> Store::make_directory(const Instance& instance) const {
    std::error_code error;
    const fs::path directory = folder_.directory_of(instance.row.id);
    fs::create_directory(directory, error);
    if (error) return fail(Error::system("reach the instance", directory, error.value()));
    return {};
}

Result<> Store::rename(const Instance& instance, const std::string& name) {
    DOPPEL_CHECK(check_name(name));
    const auto renamed = database_.change([&] { return database_.rename(instance.row.id, name); });
    if (!renamed) {
        Error error = renamed.error();
        error.subject = name;
        return fail(std::move(error));
    }
    Instance after = instance;
    after.row.name = name;
    tell(after, "renamed", ",\"from\":\"" + instance.row.name + "\"");
    return {};
}

Result<Document> Store::edit(const Instance& instance, const std::function<Result<>(Document&)>& change) {
    Document document;
    const Result<> changed = database_.change([&]() -> Result<> {
        DOPPEL_TRY(const auto row, database_.find(instance.row.id));
        if (!row || row->deleted) return fail(Error{"change", instance.row.name, "another command has removed it", ""});
        DOPPEL_TRY(document, document_from_json(row->document));
        DOPPEL_CHECK(change(document));
        DOPPEL_CHECK(validate(document));
        return database_.set_document(row->id, to_json(document));
    });
    DOPPEL_CHECK(changed);
    tell(instance, "changed");
    return document;
}

Result<> Store::expect_stopped(const Instance& instance) {
    std::optional<Record> record;
    const RunState state = state_of(folder_.directory_of(instance.row.id), record);
    if (state == RunState::kCreated || state == RunState::kStopped) return {};
    return fail(Error{"remove", instance.row.name, "it is " + std::string(name_of(state)),
                      "stop it first, or use doppel rm -f"});
}

Result<> Store::remove(const Instance& instance) {
    const fs::path directory = folder_.directory_of(instance.row.id);
    DOPPEL_CHECK(make_directory(instance));
    DOPPEL_TRY(const ChangesLock hold, ChangesLock::wait(directory));
    DOPPEL_CHECK(expect_stopped(instance));
    DOPPEL_CHECK(database_.change([&] { return database_.set_deleted(instance.row.id, time_now()); }));
    tell(instance, "removed");
    std::error_code ignored;
    fs::remove_all(folder_.runtime_of(instance.row.id), ignored);
    return {};
}

Result<> Store::undelete(const Instance& instance) {
    const auto done = database_.change([&] { return database_.set_deleted(instance.row.id, std::nullopt); });
    if (!done) {
        Error error = done.error();
        error.failed = "undelete";
        error.subject = instance.row.name;
        if (error.cure == "choose another one") error.cure = "rename the other one first: doppel rename";
        return fail(std::move(error));
    }
    tell(instance, "undeleted");
    return {};
}

Result<> Store::erase(const Instance& instance) {
    const fs::path directory = folder_.directory_of(instance.row.id);
    DOPPEL_CHECK(make_directory(instance));
    DOPPEL_TRY(const ChangesLock hold, ChangesLock::wait(directory));
    DOPPEL_CHECK(expect_stopped(instance));
    DOPPEL_TRY(const auto row, database_.find(instance.row.id));
    if (row) {
        DOPPEL_CHECK(database_.change([&] { return database_.erase(instance.row.id); }));
        tell(instance, "purged");
    }
    std::error_code error;
    fs::remove_all(folder_.runtime_of(instance.row.id), error);
    if (!release_cgroups(directory, Leftovers::kPutOut))
        log_warning("{}: a cgroup of it is left, with something in it", instance.row.name);
    fs::remove_all(directory, error);
    if (error) return fail(Error::system("remove", directory, error.value()));
    return {};
}

Result<> Store::sweep() {
    DOPPEL_TRY(const std::vector<Row> deleted, database_.list(true));
    const uint64_t now = time_now();
    for (const Row& row : deleted) {
        if (*row.deleted + kKept > now) continue;
        Instance instance;
        instance.row = row;
        DOPPEL_CHECK(erase(instance));
    }
    constexpr auto kYoung = std::chrono::minutes(1);  // somebody makes it at the moment
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder_.instances(), error)) {
        DOPPEL_TRY(const auto row, database_.find(entry.path().filename()));
        if (row || entry.last_write_time(error) + kYoung > fs::file_time_type::clock::now()) continue;
        // Whoever makes an instance holds it until it has its row.
        const auto hold = ChangesLock::try_take(entry.path());
        if (!hold) continue;
        DOPPEL_TRY(const auto meanwhile, database_.find(entry.path().filename()));
        if (meanwhile) continue;
        release_cgroups(entry.path(), Leftovers::kPutOut);
        fs::remove_all(entry.path(), error);
    }
    return {};
}

void Store::tell(const Instance& instance, const char* event, const std::string& detail) const {
    write_event(folder_.events().c_str(), instance.row.id.c_str(), instance.row.name.c_str(), event, detail.c_str());
}

}  // namespace doppel::instance
