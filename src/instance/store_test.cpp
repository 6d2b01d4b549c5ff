#include "instance/store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/temporary_folder.h"

namespace doppel::instance {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class StoreTest : public testing::Test {
  protected:
    StoreTest()
        : place_(folder_ / "state", folder_ / "run"),
          made_(place_.make()),
          store_(place_, *Database::open(place_.database())) {}
    Instance make(const std::string& name, bool remove = false) {
        Document document;
        document.image = "tiny";
        document.remove = remove;
        auto made = store_.make(name, document);
        EXPECT_TRUE(made) << made.error().message();
        return made->instance;
    }
    void write(const Instance& instance, const Record& record) {
        const UniqueFd fd(open(directory(instance).c_str(), O_PATH | O_DIRECTORY));
        EXPECT_TRUE(write_record(fd.get(), record));
    }
    fs::path directory(const Instance& instance) { return place_.directory_of(instance.row.id); }
    std::string events() {
        std::stringstream text;
        text << std::ifstream(place_.events()).rdbuf();
        return text.str();
    }

    TemporaryFolder folder_;
    StateFolder place_;
    Result<> made_;
    Store store_;
};

TEST_F(StoreTest, MakesAndFindsInstances) {
    const Instance made = make("dev");
    EXPECT_TRUE(fs::is_directory(directory(made)));
    EXPECT_EQ(store_.find("de")->row.id, made.row.id);
    EXPECT_EQ(store_.find("dev")->state, RunState::kCreated);
    EXPECT_EQ(store_.find("dev")->document.image, "tiny");
    EXPECT_THAT(store_.make("dev", made.document).error().message(), HasSubstr("there is one of that name"));
    EXPECT_FALSE(store_.make("no/name", made.document));
    EXPECT_FALSE(make("").row.name.empty());
    EXPECT_EQ(store_.list()->size(), 2u);
    EXPECT_THAT(events(), HasSubstr("\"name\":\"dev\",\"event\":\"created\"}"));
}

TEST_F(StoreTest, BringsBackWhatWasRemoved) {
    const Instance made = make("dev");
    std::ofstream(directory(made) / kLogFile) << "history";
    EXPECT_TRUE(store_.remove(made));
    EXPECT_FALSE(store_.find("dev"));
    const auto deleted = store_.find("dev", true);
    ASSERT_TRUE(deleted);
    const Instance other = make("dev");
    EXPECT_THAT(store_.undelete(*deleted).error().message(), HasSubstr("rename the other one"));
    EXPECT_TRUE(store_.rename(other, "other"));
    EXPECT_TRUE(store_.undelete(*deleted));
    EXPECT_EQ(store_.find("dev")->row.id, made.row.id);
    EXPECT_TRUE(fs::exists(directory(made) / kLogFile));
}

TEST_F(StoreTest, ErasesForGood) {
    const Instance made = make("dev");
    EXPECT_TRUE(store_.erase(made));
    EXPECT_FALSE(store_.find("dev"));
    EXPECT_FALSE(store_.find("dev", true));
    EXPECT_FALSE(fs::exists(directory(made)));
}

TEST_F(StoreTest, RemovesNothingThatRuns) {
    const Instance made = make("dev");
    const auto lock = open_lock_file(directory(made));
    ASSERT_TRUE(try_lock(lock->get(), kRunsByte));
    write(made, {.phase = Phase::kRunning, .keeper = getpid()});
    EXPECT_EQ(store_.find("dev")->state, RunState::kRunning);
    EXPECT_THAT(store_.remove(made).error().message(), HasSubstr("it is running"));
    EXPECT_FALSE(store_.erase(made));
    write(made, {.phase = Phase::kEnded, .keeper = getpid()});
    EXPECT_EQ(store_.find("dev")->state, RunState::kStopping);
    // The keeper is gone, or is not there yet; its number is a stranger's.
    write(made, {.phase = Phase::kRunning, .keeper = 1});
    EXPECT_EQ(store_.find("dev")->state, RunState::kStopping);
    write(made, {.phase = Phase::kEnded, .keeper = 1});
    EXPECT_EQ(store_.find("dev")->state, RunState::kStarting);
}

TEST_F(StoreTest, PutsRightWhatAKilledKeeperLeft) {
    const Instance made = make("dev");
    ASSERT_TRUE(place_.make_for(made.row.id));
    std::ofstream(place_.runtime_of(made.row.id) / kConsoleSocket) << "";
    write(made, {.phase = Phase::kRunning, .keeper = 1, .machine = 1, .started = 5});
    testing::internal::CaptureStderr();
    EXPECT_EQ(store_.find("dev")->state, RunState::kStopped);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("its keeper was killed"));
    EXPECT_FALSE(fs::exists(place_.runtime_of(made.row.id)));
    EXPECT_EQ(read_record(directory(made))->phase, Phase::kEnded);
    EXPECT_THAT(events(), HasSubstr("\"event\":\"lost\""));
    testing::internal::CaptureStderr();
    EXPECT_EQ(store_.find("dev")->state, RunState::kStopped);
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");  // said once
}

TEST_F(StoreTest, RemovesWhatWasToGoAtItsEnd) {
    const Instance made = make("gone", /*remove=*/true);
    write(made, {.phase = Phase::kEnded, .code = 0});
    EXPECT_TRUE(store_.list()->empty());
    EXPECT_FALSE(fs::exists(directory(made)));
    // Not before it ran, while somebody is about to start it.
    auto held = store_.make("early", made.document);
    ASSERT_TRUE(held);
    EXPECT_EQ(store_.list()->size(), 1u);
}

TEST_F(StoreTest, LosesNoChangeWhenManyEditAtOnce) {
    const Instance made = make("dev");
    EXPECT_TRUE(store_.edit(made, [](Document& document) -> Result<> {
        document.machine.cpus++;
        return {};
    }));
    EXPECT_FALSE(store_.edit(made, [](Document& document) -> Result<> {
        document.machine.cpus = 99;
        return {};
    }));
    EXPECT_EQ(store_.find("dev")->document.machine.cpus, 2u);
    EXPECT_TRUE(store_.erase(made));
    EXPECT_THAT(store_.edit(made, [](Document&) { return Result<>(); }).error().message(), HasSubstr("removed it"));
}

TEST_F(StoreTest, DoesWithoutADirectoryThatWasRemovedByHand) {
    const Instance made = make("dev");
    fs::remove_all(directory(made));
    EXPECT_EQ(store_.find("dev")->state, RunState::kCreated);
    EXPECT_TRUE(store_.remove(made));
    fs::remove_all(directory(made));
    EXPECT_TRUE(store_.undelete(*store_.find("dev", true)));
    EXPECT_TRUE(store_.erase(*store_.find("dev")));
}

TEST_F(StoreTest, SweepsWhatIsOverAndWhatBelongsToNobody) {
    const Instance made = make("dev"), kept = make("kept");
    EXPECT_TRUE(store_.remove(kept));
    Database database = *Database::open(place_.database());
    EXPECT_TRUE(database.change([&] { return database.set_deleted(made.row.id, time_now() - Store::kKept - 1); }));
    const fs::path orphan = place_.instances() / "0123456789abcdef", young = place_.instances() / "fedcba9876543210";
    fs::create_directories(orphan);
    fs::create_directories(young);
    fs::last_write_time(orphan, fs::file_time_type::clock::now() - std::chrono::hours(1));
    EXPECT_TRUE(store_.sweep());
    EXPECT_FALSE(fs::exists(directory(made)));
    EXPECT_FALSE(fs::exists(orphan));
    EXPECT_TRUE(fs::exists(young));
    EXPECT_TRUE(store_.find("kept", true));
}

TEST(Record, SurvivesItsFile) {
    const TemporaryFolder folder;
    const UniqueFd fd(open(folder.path().c_str(), O_PATH | O_DIRECTORY));
    const Record record{Phase::kRestarting, 12, 0, 34, 56, 143, 7};
    ASSERT_TRUE(write_record(fd.get(), record));
    const auto read = read_record(folder.path());
    ASSERT_TRUE(read);
    EXPECT_EQ(read->phase, Phase::kRestarting);
    EXPECT_EQ(read->keeper, 12);
    EXPECT_EQ(read->started, 34u);
    EXPECT_EQ(read->ended, 56u);
    EXPECT_EQ(read->code, 143);
    EXPECT_EQ(read->restarts, 7u);
}

TEST(Record, IsNothingWhenItMakesNoSense) {
    for (const char* text : {"", "{}", "[]", R"({"phase":"flying"})", R"({"phase":"ended","keeper":"x"})"})
        EXPECT_FALSE(parse_record(text)) << text;
}

}  // namespace
}  // namespace doppel::instance
