// All instances of a user: the database, the directories and what runs, seen together. Whatever was killed at whatever
// moment, the next command that looks finds it here, puts it right and says so.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "instance/database.h"
#include "instance/document.h"
#include "instance/keeper/record.h"
#include "instance/lock.h"
#include "instance/state_folder.h"

namespace doppel::instance {

enum class RunState : uint8_t { kCreated, kStarting, kRunning, kPaused, kRestarting, kStopping, kStopped };
std::string_view name_of(RunState state);

// One instance as it is at the moment.
struct Instance {
    Row row;
    Document document;
    RunState state = RunState::kCreated;
    std::optional<Record> record;  // of its last or present run
    bool runs() const { return state != RunState::kCreated && state != RunState::kStopped; }
};

// One thread.
class Store {
  public:
    static constexpr uint64_t kKept = uint64_t{24} * 3600 * 1'000'000'000;  // nanoseconds a deleted one is kept for

    // Makes the folders if they are missing and can be made.
    static Result<Store> open();
    explicit Store(StateFolder folder, Database database)
        : folder_(std::move(folder)), database_(std::move(database)) {}

    const StateFolder& folder() const { return folder_; }

    Result<std::vector<Instance>> list(bool deleted = false);
    // By name or unique prefix.
    Result<Instance> find(std::string_view name, bool deleted = false);
    Result<std::optional<Instance>> find_id(const std::string& id);
    // As it is now; it may be gone.
    Result<Instance> look_again(const Instance& instance);

    // A new instance; without a name it gets one. `hold` keeps others from changing it meanwhile.
    struct Made {
        Instance instance;
        ChangesLock hold;
    };
    Result<Made> make(std::string name, const Document& document);
    // Its directory, where somebody has removed it by hand: the lock lies in it.
    Result<> make_directory(const Instance& instance) const;
    Result<> rename(const Instance& instance, const std::string& name);
    // Reads, changes and writes as one step: no change of another command is lost.
    Result<Document> edit(const Instance& instance, const std::function<Result<>(Document&)>& change);
    // Deleted ones can be brought back for kKept. It must not run.
    Result<> remove(const Instance& instance);
    Result<> undelete(const Instance& instance);
    Result<> erase(const Instance& instance);  // for good
    // Deleted ones whose time is over, and directories that belong to nobody.
    Result<> sweep();

    void tell(const Instance& instance, const char* event, const std::string& detail = {}) const;

  private:
    Result<Instance> see(Row row);
    RunState state_of(const std::filesystem::path& directory, std::optional<Record>& record) const;
    // Whether it was to be removed at its end, and now is.
    bool reap(const Instance& instance);
    // What its keeper left undone when it was killed.
    void repair(Instance& instance);
    void remove_cgroups(const Instance& instance) const;
    Result<> expect_stopped(const Instance& instance);

    StateFolder folder_;
    Database database_;
};

// nullopt: there is none, or it makes no sense.
std::optional<Record> read_record(const std::filesystem::path& directory);
std::optional<Record> parse_record(std::string_view text);

}  // namespace doppel::instance
