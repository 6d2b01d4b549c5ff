#include "instance/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <thread>

#include "base/temporary_folder.h"

namespace doppel::instance {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Row row(const std::string& id, const std::string& name) {
    return {id, name, 7, std::nullopt, "{}"};
}

std::vector<std::string> names(const Database& database, bool deleted = false) {
    std::vector<std::string> all;
    const auto rows = database.list(deleted);
    EXPECT_TRUE(rows);
    for (const Row& one : *rows) all.push_back(one.name);
    return all;
}

class DatabaseTest : public testing::Test {
  protected:
    Database open() {
        auto database = Database::open(path_);
        EXPECT_TRUE(database) << database.error().message();
        return std::move(*database);
    }
    std::string error() {
        const auto database = Database::open(path_);
        return database ? "opened" : database.error().message();
    }
    void execute(const char* sql) {
        sqlite3* raw = nullptr;
        ASSERT_EQ(sqlite3_open(path_.c_str(), &raw), SQLITE_OK);
        EXPECT_EQ(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(raw);
        sqlite3_close(raw);
    }
    Result<> insert(Database& database, const Row& one) {
        return database.change([&] { return database.insert(one); });
    }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "instances.db";
};

TEST_F(DatabaseTest, KeepsInstancesByName) {
    {
        Database database = open();
        EXPECT_TRUE(insert(database, row("2", "beta")));
        EXPECT_TRUE(insert(database, row("1", "alpha")));
    }
    Database database = open();
    EXPECT_THAT(names(database), ElementsAre("alpha", "beta"));
    EXPECT_EQ(database.find("1")->value().name, "alpha");
    EXPECT_EQ(database.find("1")->value().created, 7u);
    EXPECT_FALSE(database.find("3")->has_value());
}

TEST_F(DatabaseTest, GivesANameToOneLiveInstanceOnly) {
    Database database = open();
    EXPECT_TRUE(insert(database, row("1", "one")));
    const auto again = insert(database, row("2", "one"));
    ASSERT_FALSE(again);
    EXPECT_THAT(again.error().message(), HasSubstr("the name is taken"));
    EXPECT_TRUE(database.change([&] { return database.set_deleted("1", 9); }));
    EXPECT_TRUE(insert(database, row("2", "one")));
    EXPECT_FALSE(database.change([&] { return database.set_deleted("1", std::nullopt); }));
    EXPECT_THAT(names(database, true), ElementsAre("one"));
    EXPECT_EQ(database.find("1")->value().deleted, 9u);
}

TEST_F(DatabaseTest, UndoesAChangeThatFails) {
    Database database = open();
    const auto failed = database.change([&]() -> Result<> {
        DOPPEL_CHECK(database.insert(row("1", "one")));
        return fail(Error{"fail", "", "on purpose", ""});
    });
    EXPECT_FALSE(failed);
    EXPECT_TRUE(names(database).empty());
    EXPECT_TRUE(insert(database, row("1", "one")));  // no transaction is left open
}

TEST_F(DatabaseTest, LosesNoChangeOfSeveralWriters) {
    constexpr int kWriters = 8, kRounds = 25;
    { open(); }
    std::vector<std::thread> writers;
    for (int w = 0; w < kWriters; w++)
        writers.emplace_back([&, w] {
            Database database = open();
            for (int i = 0; i < kRounds; i++) {
                const std::string id = std::to_string(w) + "-" + std::to_string(i);
                EXPECT_TRUE(insert(database, row(id, id)));
            }
        });
    for (auto& writer : writers) writer.join();
    EXPECT_EQ(names(open()).size(), size_t{kWriters * kRounds});
}

TEST_F(DatabaseTest, IsMadeOnceByManyAtTheSameTime) {
    std::vector<std::thread> openers;
    for (int i = 0; i < 8; i++) openers.emplace_back([&] { open(); });
    for (auto& opener : openers) opener.join();
    EXPECT_TRUE(names(open()).empty());
}

TEST_F(DatabaseTest, RefusesOneOfANewerVersion) {
    { open(); }
    execute("PRAGMA user_version=99");
    EXPECT_THAT(error(), HasSubstr("its version is 99"));
    execute("PRAGMA user_version=1");
    EXPECT_EQ(error(), "opened");
}

TEST_F(DatabaseTest, SaysThatItIsDamaged) {
    { std::ofstream(path_) << std::string(8192, 'x'); }
    EXPECT_THAT(error(), HasSubstr("it is damaged"));
}

TEST_F(DatabaseTest, SaysWhereThereIsNoFolder) {
    path_ = folder_ / "none" / "instances.db";
    EXPECT_THAT(error(), HasSubstr("open the instances"));
}

}  // namespace
}  // namespace doppel::instance
