#include "machine/spec/specification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace doppel::machine {
namespace {

using testing::HasSubstr;

Specification bootable() {
    Specification specification;
    specification.kernel = "Image";
    return specification;
}

Specification with_everything() {
    Specification s = bootable();
    s.engine = EngineChoice::kInterpret;
    s.code_cache = kMinCodeCache;
    s.translation_cache = "cache/translations";
    s.translation_cache_size = kMinTranslationCache;
    s.techniques.links = s.techniques.huge_pages = false;
    s.cpus = 16;
    s.vlen = 1024;
    s.memory = kMaxMemory;
    s.initrd = "a \"quoted\" initrd\n";
    s.append = "console=ttyS0 \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7";
    s.console = {ConsoleKind::kFile, "/tmp/with:colon"};
    s.irqchip = Irqchip::kPlic;
    s.code_flash = {"code,old.fd", true};
    s.variable_flash = {"vars.fd", false};
    s.disks = {{.path = "a,b \xc3\xa9", .format = DiskFormat::kQcow2, .snapshot = true, .serial = "1"},
               {.path = "d", .read_only = true, .requests = {5, 6}, .bytes = {uint64_t{1} << 40, 0}}};
    s.shares = {{"/srv/a:/b,ro", "/mnt", true, false}, {"tree", "", false, true}};
    s.networks = {{NetKind::kUser, true}, {}};
    s.forwards = {{"127.0.0.1", 8080, 80, false}, {"", 53, 5353, true}};
    s.no_reboot = true;
    s.virtio = VirtioTransport::kMmio;
    s.vsock = {"a,cid=b", 7};
    s.agent = "/run/user/0/agent";
    s.gdb = "/run/user/0/gdb";
    s.sandbox = false;
    s.statistics = "stats.json";
    s.traces = {{trace_kind::kInstructions | trace_kind::kMemory, "a=b,c", uint64_t{1} << 40},
                {.kinds = trace_kind::kInterrupts | trace_kind::kTraps | trace_kind::kFirmware}};
    s.name = "web-1.example_2";
    return s;
}

std::string refusal(const Specification& specification) {
    const auto result = validate(specification);
    if (result) return "accepted";
    EXPECT_EQ(result.error().kind, ErrorKind::kUsage);
    return result.error().subject;
}

std::string changed(const std::function<void(Specification&)>& change) {
    Specification specification = bootable();
    change(specification);
    return refusal(specification);
}

TEST(Specification, SurvivesTheWayThroughJson) {
    for (const auto& specification : {bootable(), with_everything()}) {
        const auto back = from_json(to_json(specification));
        ASSERT_TRUE(back) << back.error().message();
        EXPECT_EQ(*back, specification);
    }
}

TEST(Specification, SurvivesTheWayThroughAMemfdThatNobodyCanChange) {
    const auto fd = to_memfd(with_everything());
    ASSERT_TRUE(fd);
    EXPECT_EQ(::write(fd->get(), "x", 1), -1);
    const auto back = from_fd(fd->get());
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(*back, with_everything());
}

TEST(Specification, NamesTheOptionThatIsOutOfRange) {
    EXPECT_EQ(refusal(bootable()), "accepted");
    EXPECT_EQ(changed([](auto& s) { s.cpus = 0; }), "--cpus");
    EXPECT_EQ(changed([](auto& s) { s.cpus = 1000; }), "--cpus");
    EXPECT_EQ(changed([](auto& s) { s.vlen = 64; }), "--vlen");
    EXPECT_EQ(changed([](auto& s) { s.vlen = 384; }), "--vlen");
    EXPECT_EQ(changed([](auto& s) { s.memory = 1024; }), "--memory");
    EXPECT_EQ(changed([](auto& s) { s.memory = kMinMemory - 4096; }), "--memory");
    EXPECT_EQ(changed([](auto& s) { s.memory = kMinMemory + 1; }), "--memory");
    EXPECT_EQ(changed([](auto& s) { s.memory = std::numeric_limits<uint64_t>::max(); }), "--memory");
    for (uint64_t bytes : {uint64_t{0}, kMinCodeCache - 4096, kMinCodeCache + 1, kMaxCodeCache + 4096})
        EXPECT_EQ(changed([&](auto& s) { s.code_cache = bytes; }), "--code-cache") << bytes;
    EXPECT_EQ(changed([&](auto& s) { s.translation_cache_size = kMinTranslationCache - 1; }),
              "--translation-cache-size");
    EXPECT_EQ(changed([&](auto& s) { s.translation_cache = std::string(5000, 'x'); }), "--translation-cache");
    EXPECT_EQ(changed([&](auto& s) { s.code_cache = kMaxCodeCache; }), "accepted");
    EXPECT_EQ(changed([](auto& s) { s.kernel = "latin-1 \xe9.bin"; }), "--kernel");
    EXPECT_EQ(changed([](auto& s) { s.initrd = std::string("a\0b", 3); }), "--initrd");
    EXPECT_EQ(changed([](auto& s) { s.append = std::string(70000, 'x'); }), "--append");
    EXPECT_EQ(changed([](auto& s) { s.console = {ConsoleKind::kFile, ""}; }), "--console");
    EXPECT_EQ(changed([](auto& s) { s.console = {ConsoleKind::kSocket, std::string(108, 's')}; }), "--console");
    EXPECT_EQ(changed([](auto& s) { s.console = {ConsoleKind::kPty, "x"}; }), "--console");
    EXPECT_EQ(changed([](auto& s) { s.agent = std::string(108, 's'); }), "--agent");
    EXPECT_EQ(changed([](auto& s) { s.statistics = std::string(5000, 'x'); }), "--stats");
    EXPECT_EQ(changed([](auto& s) { s.networks.resize(kMaxNets + 1); }), "--net");
    EXPECT_EQ(changed([](auto& s) { s.networks.resize(kMaxNets); }), "accepted");
    EXPECT_EQ(changed([](auto& s) { s.forwards.resize(1); }), "--publish") << "into what network?";
    EXPECT_EQ(changed([](auto& s) { s.networks.resize(1), s.forwards.resize(kMaxForwards + 1); }), "--publish");
    EXPECT_EQ(changed([](auto& s) { s.vsock = {"", 5}; }), "--vsock");
    EXPECT_EQ(changed([](auto& s) { s.vsock = {std::string(97, 's'), 3}; }), "--vsock");
    EXPECT_EQ(changed([](auto& s) { s.vsock = {std::string(96, 's'), 3}; }), "accepted");
    for (uint32_t cid : {0U, 2U, ~0U}) EXPECT_EQ(changed([&](auto& s) { s.vsock = {"s", cid}; }), "--vsock") << cid;
    EXPECT_EQ(changed([](auto& s) { s.name = "-leading"; }), "--name");
    EXPECT_EQ(changed([](auto& s) { s.name = "a/b"; }), "--name");
}

TEST(Specification, ReadsTheWordsOfAVsock) {
    EXPECT_EQ(vsock_from("file"), (VsockChoice{"file", 3}));
    EXPECT_EQ(vsock_from("a,cid=b,cid=77"), (VsockChoice{"a,cid=b", 77}));
    for (const char* text : {"file,cid=", "file,cid=x", "file,cid=-1", "file,cid=4294967296", "file,cid=5 "})
        EXPECT_EQ(vsock_from(text), std::nullopt) << text;
    EXPECT_EQ(text_of(VsockChoice{}), "");
    EXPECT_EQ(vsock_from(""), VsockChoice{});
}

TEST(Specification, StartsAKernelOrFirmwareOrBoth) {
    EXPECT_EQ(changed([](auto& s) { s.kernel.clear(); }), "--kernel");
    EXPECT_EQ(changed([](auto& s) { s.firmware = "fw.elf"; }), "accepted");
    EXPECT_EQ(changed([](auto& s) { s.kernel.clear(), s.firmware = "fw.elf", s.append = "x"; }), "accepted");
}

TEST(Specification, StartsWhatIsInFlash) {
    EXPECT_EQ(changed([](auto& s) { s.kernel.clear(), s.code_flash.path = "code.fd"; }), "accepted");
    EXPECT_EQ(changed([](auto& s) { s.variable_flash.path = "vars.fd"; }), "--flash");
    EXPECT_EQ(changed([](auto& s) { s.code_flash.read_only = true; }), "--flash");
    EXPECT_EQ(changed([](auto& s) { s.code_flash.path = std::string(5000, 'x'); }), "--flash");
    EXPECT_EQ(changed([](auto& s) { s.shares = {{"a", "/"}}; }), "accepted");
    EXPECT_EQ(changed([](auto& s) { s.shares = {{"a", "/"}}, s.initrd = "initrd"; }), "--share");
    EXPECT_EQ(changed([](auto& s) { s.shares = {{"a", "/mnt"}, {"b", "/mnt"}}; }), "--share");
    EXPECT_EQ(changed([](auto& s) { s.shares.assign(kMaxShares + 1, {"a"}); }), "--share");
    EXPECT_EQ(changed([](auto& s) { s.shares = {{std::string(5000, 'x')}}; }), "--share");
}

TEST(Specification, ReadsEachFlash) {
    EXPECT_EQ(flash_from("code.fd"), (FlashChoice{"code.fd", false}));
    EXPECT_EQ(flash_from("a,b,ro"), (FlashChoice{"a,b", true}));
    EXPECT_EQ(flash_from(",ro"), (FlashChoice{"", true}));
    EXPECT_EQ(text_of(flash_from("code.fd,ro")), "code.fd,ro");
}

TEST(Specification, RefusesTextThatIsNotUtf8) {
    for (const char* bad : {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
        EXPECT_EQ(changed([&](auto& s) { s.append = bad; }), "--append") << bad;
}

TEST(Specification, ReadsEachConsole) {
    EXPECT_EQ(console_from("stdio"), (ConsoleChoice{ConsoleKind::kStdio, ""}));
    EXPECT_EQ(console_from("file:a:b"), (ConsoleChoice{ConsoleKind::kFile, "a:b"}));
    EXPECT_EQ(console_from("socket:/s"), (ConsoleChoice{ConsoleKind::kSocket, "/s"}));
    EXPECT_EQ(console_from("none"), (ConsoleChoice{ConsoleKind::kNone, ""}));
    for (const char* bad : {"", "tty", "stdio:", "file", "socket", "File:x", ":x"})
        EXPECT_EQ(console_from(bad), std::nullopt);
    for (const char* good : {"stdio", "file:x", "pty", "socket:y", "none"})
        EXPECT_EQ(text_of(*console_from(good)), good);
}

TEST(Specification, TakesNoMoreTracesThanItCanHold) {
    Specification many = bootable();
    many.traces.resize(kMaxTraces, {.kinds = trace_kind::kTraps});
    EXPECT_EQ(refusal(many), "accepted");
    many.traces.push_back(many.traces.front());
    EXPECT_EQ(refusal(many), "--trace");
    for (const TraceChoice& bad : {TraceChoice{}, TraceChoice{trace_kind::kTraps, "", {}}}) {
        Specification s = bootable();
        s.traces = {bad};
        EXPECT_EQ(refusal(s), "--trace");
    }
}

TEST(Specification, TakesNoMoreDisksThanThereAreSlots) {
    Specification many = bootable();
    many.disks.resize(kMaxDisks, {.path = "d"});
    EXPECT_EQ(refusal(many), "accepted");
    many.disks.push_back(many.disks.front());
    EXPECT_EQ(refusal(many), "--disk");
    EXPECT_EQ(changed([](auto& s) { s.disks = {{}}; }), "--disk");
    EXPECT_EQ(changed([](auto& s) { s.disks = {{.path = "d\xff"}}; }), "--disk");
    EXPECT_EQ(changed([](auto& s) { s.disks = {{.path = std::string(5000, 'x')}}; }), "--disk");
}

TEST(Specification, RefusesHostileJson) {
    const auto error = [](std::string_view text) {
        const auto result = from_json(text);
        return result ? std::string("accepted") : result.error().message();
    };
    EXPECT_EQ(error(R"({"kernel":"k"})"), "accepted");
    for (const char* text : {"", "null", "[]", "{", R"({"kernel":"k"} x)", R"({"kernel":["k"]})",
                             R"({"kernel":{"a":1}})", R"({"kernel":"k","kernel":"l"})", "{\"kernel\":\"\xff\"}",
                             R"({"kernel":"k","trace":[["insn"]]})", R"({"kernel":"k","trace":[{}]})", R"(["trace"])"})
        EXPECT_THAT(error(text), HasSubstr("not one flat JSON object")) << text;
    EXPECT_THAT(error(R"({"kernel":"k","dusk":"d"})"), HasSubstr("unknown key dusk"));
    EXPECT_THAT(error(R"({"kernel":"k","disk":"d"})"), HasSubstr("--disk: is not a list"));
    EXPECT_THAT(error(R"({"kernel":"k","disk":["d,rw"]})"), HasSubstr("--disk: rw is no option"));
    EXPECT_THAT(error(R"({"kernel":7})"), HasSubstr("--kernel: is not a text"));
    EXPECT_THAT(error(R"({"kernel":"k","cpus":4294967297})"), HasSubstr("--cpus"));
    EXPECT_THAT(error(R"({"kernel":"k","cpus":-1})"), HasSubstr("--cpus"));
    EXPECT_THAT(error(R"({"kernel":"k","memory":1e10})"), HasSubstr("--memory"));
    EXPECT_THAT(error(R"({"kernel":"k","memory":99999999999999999999999})"), HasSubstr("--memory"));
    EXPECT_THAT(error(R"({"kernel":"k","no_reboot":"yes"})"), HasSubstr("--no-reboot"));
    EXPECT_THAT(error(R"({"kernel":"k","engine":"kvm"})"), HasSubstr("--engine"));
    EXPECT_THAT(error(R"({"kernel":"k","console":"tty"})"), HasSubstr("--console"));
    EXPECT_THAT(error(R"({"kernel":"k","agent":"file:x"})"), HasSubstr("--agent"));
    EXPECT_THAT(error(R"({"kernel":"k","agent":"socket:"})"), HasSubstr("--agent"));
    EXPECT_THAT(error(R"({"kernel":"k\u0000"})"), HasSubstr("NUL"));
    EXPECT_THAT(error(R"({"kernel":"k","trace":"insn"})"), HasSubstr("--trace: is not a list"));
    EXPECT_THAT(error(R"({"kernel":"k","trace":["insn,all"]})"), HasSubstr("--trace: all is no kind of trace"));
    EXPECT_THAT(error(R"({"kernel":"k","trace":["insn="]})"), HasSubstr("--trace: a path is missing"));
    EXPECT_THAT(error(R"({})"), HasSubstr("--kernel, --firmware or --flash"));
    EXPECT_THAT(error(std::string(2 << 20, ' ')), HasSubstr("longer than 1 MiB"));
    EXPECT_THAT(error(std::string(1 << 19, '[')), HasSubstr("not one flat JSON object"));
}

}  // namespace
}  // namespace doppel::machine
