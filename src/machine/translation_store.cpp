#include "machine/translation_store.h"

#if DOPPEL_TRANSLATE

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "cpu/translate/stored_code.h"
#include "machine/sandbox/sandbox.h"
#include "stored_code/folder.h"

namespace doppel::machine {

namespace {

using cpu::translate::StoredCode;

// What a machine is expected to add at most, and a little more.
constexpr uint64_t kRoom = uint64_t{16} << 20;

// What keeps translations, of which a machine knows how to make more.
struct Keeper {
    stored_code::Folder folder;
    stored_code::Identity identity;
    uint64_t limit;  // bytes
    bool confined;
    translate::Techniques techniques;
};

std::string absolute(const std::string& path) {
    std::error_code code;
    const auto whole = std::filesystem::weakly_canonical(path, code);
    return code ? path : whole.string();
}

// Paths say little about what is in the files, but code is compared anyway before it is used.
std::string guest_of(const Specification& s) {
    std::string text;
    for (const auto& [word, path] : {std::pair("firmware", &s.firmware), std::pair("flash", &s.code_flash.path),
                                     std::pair("kernel", &s.kernel), std::pair("initrd", &s.initrd)}) {
        if (!path->empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", word, absolute(*path));
    }
    return text;
}

Result<> confine(const Keeper& keeper) {
    if (!keeper.confined) return {};
    const UniqueFd folder(::open(keeper.folder.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return fail(Error::system("keep translations", keeper.folder.path().string(), errno));
    DOPPEL_TRY(const sandbox::Missing missing, sandbox::confine_files(folder.get()));
    // Guest code is translated here, so this process must not reach more than the folder, whatever becomes of it.
    if (!missing.empty()) return fail(Error{"keep translations", "", missing, "--translation-cache off"});
    DOPPEL_TRY(const sandbox::Missing calls, sandbox::confine_calls({.files = true}));
    if (!calls.empty()) return fail(Error{"keep translations", "", calls, "--translation-cache off"});
    return {};
}

Result<> keep(const Keeper& keeper, int link, int notes) {
    DOPPEL_CHECK(confine(keeper));
    char end = 0;
    while (read(link, &end, 1) < 0 && errno == EINTR) {
    }
    DOPPEL_TRY(const std::vector<uint8_t> content,
               read_whole(notes, "notes", 2 * StoredCode::kMaxNotes, "keep translations"));
    return keeper.folder.save(keeper.identity, cpu::translate::read_notes(content, keeper.techniques), keeper.limit);
}

// The other process: signals and descriptors of the machine are none of its business, but for standard error.
[[noreturn]] void become(const Keeper& keeper, int link, int done, int notes) {
    constexpr int kLink = 0, kDone = 1, kNotes = 3;
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSYS);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    setsid();
    prctl(PR_SET_NAME, "doppel-keeper");
    // None of the three is in another's way: what has just been opened is above them.
    constexpr int kAbove = 10;
    const int moved_link = fcntl(link, F_DUPFD, kAbove), moved_done = fcntl(done, F_DUPFD, kAbove),
              moved_notes = fcntl(notes, F_DUPFD, kAbove);
    if (dup2(moved_link, kLink) < 0 || dup2(moved_done, kDone) < 0 || dup2(moved_notes, kNotes) < 0 ||
        close_range(kNotes + 1, ~0U, 0) != 0 || chdir("/") != 0) {
        _exit(1);
    }
    const auto kept = keep(keeper, kLink, kNotes);
    if (!kept) log_warning("{}", kept.error().message());
    _exit(kept ? 0 : 1);
}

struct Pipe {
    UniqueFd reads, writes;
    bool open() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) return false;
        reads.reset(ends[0]);
        writes.reset(ends[1]);
        return true;
    }
};

}  // namespace

std::unique_ptr<TranslationStore> TranslationStore::open(const Specification& specification) {
    if (specification.translation_cache.empty() || specification.engine == EngineChoice::kInterpret) return nullptr;
    const auto configuration = cpu::translate::stored_configuration(
        fmt::format("{}, vlen {}", name_of(specification.arch), specification.vlen), specification.techniques);
    if (!configuration) {
        log_warning("translations are not kept: this program was linked without a build ID");
        return nullptr;
    }
    const Keeper keeper{stored_code::Folder(absolute(specification.translation_cache)),
                        {*configuration, guest_of(specification)},
                        specification.translation_cache_size,
                        specification.sandbox,
                        specification.techniques};
    auto file = keeper.folder.open(keeper.identity);
    if (!file) log_warning("{}", file.error().message());
    // What is compared is translated before it runs the first time: most of it is not worth keeping.
    const bool wants_more = specification.engine != EngineChoice::kCheck;
    const auto prepared = wants_more ? keeper.folder.prepare(kRoom) : Result<>();
    if (!prepared && file) log_warning("{}", prepared.error().message());
    if (!prepared && (!file || !*file)) return nullptr;

    UniqueFd notes;
    Pipe link, done;
    const bool keeps = wants_more && prepared && (notes = UniqueFd(memfd_create("doppel-notes", MFD_CLOEXEC))) &&
                       link.open() && done.open();
    if (keeps) {
        const pid_t child = fork();
        if (child == 0) become(keeper, link.reads.get(), done.writes.get(), notes.get());
        if (child < 0) notes.reset();
    }
    std::optional<stored_code::File> found;
    if (file && *file) found = std::move(**file);
    std::unique_ptr<TranslationStore> made(
        new TranslationStore(std::make_shared<StoredCode>(std::move(found), std::move(notes))));
    made->link_ = std::move(link.writes);
    made->done_ = std::move(done.reads);
    return made;
}

void TranslationStore::finish() {
    if (!link_) return;
    code_->write_notes();
    link_.reset();
    char end = 0;
    while (done_ && read(done_.get(), &end, 1) < 0 && errno == EINTR) {
    }
    done_.reset();
}

TranslationStore::~TranslationStore() {
    finish();
}

}  // namespace doppel::machine

#else

namespace doppel::machine {

std::unique_ptr<TranslationStore> TranslationStore::open(const Specification&) {
    return nullptr;
}
void TranslationStore::finish() {}
TranslationStore::~TranslationStore() = default;

}  // namespace doppel::machine

#endif
