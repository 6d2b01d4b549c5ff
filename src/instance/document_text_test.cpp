#include "instance/document_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::instance {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Document sample() {
    Document document;
    document.image = "tiny";
    document.restart = Restart::kOnFailure;
    document.machine.cpus = 2;
    document.machine.memory = uint64_t{1536} << 20;
    document.machine.append = "a \"quoted\" text\nwith lines";
    document.machine.disks = {{.path = "/a"}, {.path = "/b"}};
    return document;
}

std::string error(const std::string& toml) {
    const auto document = document_from_toml(toml);
    return document ? "accepted" : document.error().message();
}

std::string set(Document document, const std::vector<std::string>& assignments) {
    const auto done = set_values(document, assignments);
    return done ? "accepted" : done.error().message();
}

TEST(Document, SurvivesJson) {
    const auto document = document_from_json(to_json(sample()));
    ASSERT_TRUE(document) << document.error().message();
    EXPECT_EQ(*document, sample());
}

TEST(Document, RefusesWhatIsNone) {
    for (const char* text : {"", "[]", "{}", R"({"image":1})", R"({"image":"tiny","level":"container"})",
                             R"({"image":"tiny","restart":"maybe"})", R"({"image":"tiny","more":1})",
                             R"({"image":"tiny","machine":{"cpus":99}})", R"({"image":"tiny","machine":[]})",
                             R"({"image":"tiny","remove":true,"restart":"always"})"})
        EXPECT_FALSE(document_from_json(text)) << text;
    EXPECT_TRUE(document_from_json(R"({"image":"tiny"})"));
}

TEST(Document, MakesPathsAbsoluteAndKeepsItsOwnSockets) {
    machine::Specification machine;
    machine.kernel = "k";
    machine.initrd = "/i";
    machine.disks = {{.path = "d/../e"}};
    machine.gdb = "1234";
    machine.statistics = "-";
    ASSERT_TRUE(make_absolute(machine, "/home/me"));
    EXPECT_EQ(machine.kernel, "/home/me/k");
    EXPECT_EQ(machine.initrd, "/i");
    EXPECT_EQ(machine.disks[0].path, "/home/me/e");
    EXPECT_EQ(machine.gdb, "1234");
    EXPECT_EQ(machine.statistics, "-");
    machine.agent = "/a";
    EXPECT_FALSE(make_absolute(machine, "/"));
}

TEST(DocumentText, SurvivesToml) {
    const std::string text = to_toml(sample());
    EXPECT_THAT(text, HasSubstr("memory = \"1536M\"\n"));
    EXPECT_TRUE(text.starts_with("image = \"tiny\"\n")) << text;
    const auto document = document_from_toml(text);
    ASSERT_TRUE(document) << document.error().message();
    EXPECT_EQ(*document, sample());
}

TEST(DocumentText, SaysWhatIsWrongInToml) {
    EXPECT_THAT(error("cpus = \n"), HasSubstr("line 1"));
    EXPECT_THAT(error("image = \"tiny\"\nwings = 2\n"), HasSubstr("wings"));
    EXPECT_THAT(error("image = \"tiny\"\ncpus = -1\n"), HasSubstr("cpus: is negative"));
    EXPECT_THAT(error("image = \"tiny\"\ncpus = 1.5\n"), HasSubstr("cpus"));
    EXPECT_THAT(error("image = \"tiny\"\nmemory = \"much\"\n"), HasSubstr("memory"));
    EXPECT_THAT(error("image = \"tiny\"\nagent = \"socket:/a\"\n"), HasSubstr("cannot be set"));
    EXPECT_EQ(error("image = \"tiny\"\nmemory = \"1G\"\n"), "accepted");
}

TEST(DocumentText, TakesTheNameOutOnlyWhereItIsAskedFor) {
    std::string name;
    EXPECT_TRUE(document_from_toml("name = \"dev\"\nimage = \"tiny\"\n", &name));
    EXPECT_EQ(name, "dev");
    EXPECT_THAT(error("name = \"dev\"\nimage = \"tiny\"\n"), HasSubstr("cannot be set"));
}

TEST(DocumentText, SetsValuesByTheirKind) {
    Document document = sample();
    ASSERT_TRUE(set_values(document, {"cpus=4", "memory=1G", "no_reboot=true", "append=", "disk=/c", "disk=/d,ro"}));
    EXPECT_EQ(document.machine.cpus, 4u);
    EXPECT_EQ(document.machine.memory, uint64_t{1} << 30);
    EXPECT_TRUE(document.machine.no_reboot);
    EXPECT_EQ(document.machine.append, "");
    ASSERT_EQ(document.machine.disks.size(), 2u);
    EXPECT_TRUE(document.machine.disks[1].read_only);
    ASSERT_TRUE(set_values(document, {"disk="}));
    EXPECT_TRUE(document.machine.disks.empty());
    EXPECT_THAT(set(sample(), {"cpus"}), HasSubstr("KEY=VALUE"));
    EXPECT_THAT(set(sample(), {"wings=2"}), HasSubstr("no such key"));
    EXPECT_THAT(set(sample(), {"cpus=two"}), HasSubstr("not a number"));
    EXPECT_THAT(set(sample(), {"cpus=0"}), HasSubstr("--cpus"));
    EXPECT_THAT(set(sample(), {"cpus=1", "cpus=2"}), HasSubstr("twice"));
    EXPECT_THAT(set(sample(), {"no_reboot=yes"}), HasSubstr("true nor false"));
}

TEST(DocumentText, AddsToListsAndTakesFromThem) {
    Document document = sample();
    ASSERT_TRUE(set_values(document, {"disk=/a", "disk=/b,ro", "disk=/c"}));
    ASSERT_TRUE(set_values(document, {"disk+=/d", "disk-=/b", "share+=/s:/mnt"}));
    std::vector<std::string> paths;
    for (const auto& disk : document.machine.disks) paths.push_back(disk.path);
    EXPECT_THAT(paths, ElementsAre("/a", "/c", "/d"));
    ASSERT_TRUE(set_values(document, {"share-=/s"}));
    EXPECT_THAT(set(document, {"disk-=/b"}), HasSubstr("there is no /b in it"));
    EXPECT_THAT(set(document, {"cpus+=1"}), HasSubstr("no list"));
    EXPECT_THAT(set(document, {"disk+="}), HasSubstr("nothing to add"));
}

TEST(DocumentText, ShowsWhatDiffers) {
    Document after = sample();
    EXPECT_EQ(difference(sample(), after), "");
    after.machine.cpus = 3;
    after.image = "";
    after.machine.kernel = "/k";
    EXPECT_THAT(changed_keys(sample(), after), ElementsAre("cpus", "image", "kernel"));
    EXPECT_THAT(difference(sample(), after), HasSubstr("-cpus = 2\n+cpus = 3\n"));
}

}  // namespace
}  // namespace doppel::instance
