#include "machine/trace/trace_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/temporary_folder.h"

namespace doppel::machine::trace {
namespace {

using testing::HasSubstr;

// A pipe by path, as process substitution gives one.
struct Pipe {
    Pipe() {
        int ends[2];
        if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
        reader.reset(ends[0]);
        writer.reset(ends[1]);
    }
    std::string path() const { return "/dev/fd/" + std::to_string(writer.get()); }
    UniqueFd reader, writer;
};

class TraceFileTest : public ::testing::Test {
  protected:
    std::string path(const std::string& name = "trace") const { return folder_ / name; }
    std::unique_ptr<TraceFile> open(const std::string& path, std::optional<uint64_t> limit = std::nullopt) {
        auto file = TraceFile::open(path, limit);
        if (!file) throw std::runtime_error(file.error().message());
        return std::move(*file);
    }
    std::string written(const std::string& name = "trace") const {
        std::ostringstream text;
        text << std::ifstream(path(name)).rdbuf();
        return text.str();
    }
    TemporaryFolder folder_;
};

TEST_F(TraceFileTest, IsForItsUserAlone) {
    open(path());
    struct stat status {};
    ASSERT_EQ(stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 077, 0u);
}

TEST_F(TraceFileTest, EndsWithTheLastWholeLineThatItsLimitHolds) {
    auto file = open(path(), 14);
    file->write("first\n");
    EXPECT_FALSE(file->ended());
    testing::internal::CaptureStderr();
    file->write("second\nthird\n");
    EXPECT_TRUE(file->ended());
    file->write("a\n");
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(written(), "first\nsecond\n");
    EXPECT_EQ(said, "doppel: warning: write trace: " + path() +
                        ": its limit of 14 is reached, the machine goes on; for more give ,limit=SIZE\n");
}

TEST_F(TraceFileTest, MayFillItsLimitExactly) {
    auto file = open(path(), 6);
    file->write("first\n");
    EXPECT_FALSE(file->ended());
    EXPECT_EQ(written(), "first\n");
}

TEST_F(TraceFileTest, LimitsFilesButNoPipesUnlessAsked) {
    const Pipe pipe;
    EXPECT_EQ(open(path())->limit(), TraceFile::kDefaultLimit);
    EXPECT_EQ(open(pipe.path())->limit(), 0u);
    EXPECT_EQ(open(pipe.path(), 100)->limit(), 100u);
}

TEST_F(TraceFileTest, HasNoLimitOfZero) {
    auto file = open(path(), 0);
    file->write("first\n");
    file->write("second\n");
    EXPECT_EQ(written(), "first\nsecond\n");
}

TEST_F(TraceFileTest, EndsQuietlyWhenItsReaderIsGone) {
    signal(SIGPIPE, SIG_IGN);
    Pipe pipe;
    auto file = open(pipe.path());
    pipe.reader.reset();
    testing::internal::CaptureStderr();
    file->write("line\n");
    EXPECT_TRUE(file->ended());
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(TraceFileTest, WaitsForASlowReaderAndLosesNothing) {
    Pipe pipe;
    auto file = open(pipe.path());
    const std::string text = std::string(300'000, 'x') + "\n";  // more than a pipe holds
    std::string got;
    std::thread reader([&] {
        char some[1000];
        while (got.size() < text.size()) {
            const ssize_t count = ::read(pipe.reader.get(), some, sizeof some);
            if (count <= 0) break;
            got.append(some, static_cast<size_t>(count));
        }
    });
    file->write(text);
    reader.join();
    EXPECT_EQ(got, text);
    EXPECT_FALSE(file->ended());
}

TEST_F(TraceFileTest, GivesUpAReaderThatTakesNothingWhenThereIsHurry) {
    Pipe pipe;
    auto file = open(pipe.path());
    file->set_hurry(true);
    testing::internal::CaptureStderr();
    file->write(std::string(300'000, 'x') + "\n");
    EXPECT_TRUE(file->ended());
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("nobody reads it; the rest is lost"));
}

TEST_F(TraceFileTest, ReturnsTheCarriageOfATerminalInRawMode) {
    int master = -1, slave = -1;
    termios raw{};
    cfmakeraw(&raw);
    ASSERT_EQ(openpty(&master, &slave, nullptr, &raw, nullptr), 0);
    const UniqueFd close_master(master), close_slave(slave);
    open("/dev/fd/" + std::to_string(slave))->write("first\nsecond\n");
    const std::string expected = "first\r\nsecond\r\n";
    std::string seen;
    // A terminal may give it in pieces.
    while (seen.size() < expected.size()) {
        char piece[100];
        const ssize_t count = ::read(master, piece, sizeof piece);
        ASSERT_GT(count, 0) << seen;
        seen.append(piece, static_cast<size_t>(count));
    }
    EXPECT_EQ(seen, expected);
}

TEST_F(TraceFileTest, SaysThatAPipeHasNoReader) {
    ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
    const auto file = TraceFile::open(path(), {});
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().message(), HasSubstr("start what reads it first"));
}

}  // namespace
}  // namespace doppel::machine::trace
