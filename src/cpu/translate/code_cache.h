// The translations that all harts of a machine share, by guest physical address, and what keeps them true to memory.
//
// A page that holds translated code is write-protected in the soft TLBs: writes to it are noted page by page, and at
// fence.i the pages that were written are compared with what was translated. A hart that still has a write entry from
// before (`Participant::seen`) makes the page suspect until it has dropped it.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cpu/trace.h"
#include "cpu/translate/recorder.h"
#include "cpu/translate/stored_code.h"
#include "memory/guest_memory.h"
#include "translate/code_memory.h"
#include "translate/x86/placement.h"
#include "translate/x86/thunks.h"

namespace doppel::cpu::translate {

// Where the halves of an instruction lie, in RAM: what a page is followed by depends on the address space.
struct Straddle {
    const memory::Region* region;
    uint64_t physical;
    const memory::Region* other_region;
    uint64_t other_physical;
};

struct CacheStatistics {
    uint64_t blocks = 0;             // translated since the start
    uint64_t guest_bytes = 0;        // of guest code
    uint64_t host_bytes = 0;         // of host code
    uint64_t nanoseconds = 0;        // spent translating
    uint64_t regions = 0;            // loops compiled as one
    uint64_t loaded_blocks = 0;      // that were stored, and needed no translating
    uint64_t loaded_regions = 0;     // loops of them
    uint64_t loaded_host_bytes = 0;  // of host code
    uint64_t invalidated = 0;        // blocks whose code had changed
    uint64_t flushes = 0;            // of the whole cache, because it was full
    uint64_t used_bytes = 0;         // now; what is no longer used counts until the next flush
};

// One hart's part in the cache.
struct Participant {
    std::atomic<bool> executing{false};  // may use the write entries of its soft TLBs
    std::atomic<bool> inside{false};     // runs translated code
    std::atomic<uint64_t> seen{0};       // code pages for which it has dropped its write entries
};

// Thread-safe. Lock order: `lock_` is a leaf; its own thread takes it between compilations only.
class CodeCache {
  public:
    // `stored`: what was translated before, and notes of what is translated now; null: neither.
    static Result<std::unique_ptr<CodeCache>> create(size_t bytes, std::shared_ptr<StoredCode> stored = nullptr,
                                                     const doppel::translate::Techniques& techniques = {});
    const doppel::translate::Techniques& techniques() const { return techniques_; }

    // Both outlive the harts' use of the cache.
    void join(Participant& participant);
    void leave(Participant& participant);
    const doppel::translate::x86::Thunks& thunks() const { return thunks_; }
    const uint8_t* thunk_base() const { return thunk_base_; }

    // Names the block at `physical` in this mode.
    static uint64_t key_of(uint64_t physical, CodeMode mode) { return physical >> 1 << 4 | mode.number(); }
    // nullptr: none.
    const uint8_t* find(uint64_t physical, CodeMode mode);
    // Takes the block at `physical`, which lies in RAM, from what is stored; nullptr: it is not there.
    const uint8_t* load(const memory::Region& region, uint64_t physical, CodeMode mode,
                        TracedTranslation* traced = nullptr);
    bool has_stored() const { return stored_ != nullptr; }
    // Loads or translates the block at `physical`, which lies in RAM; nullptr: not for translated code, or not now.
    // `traced`, unless null, gets what was done, at physical addresses.
    const uint8_t* translate(const memory::Region& region, uint64_t physical, CodeMode mode,
                             TracedTranslation* traced = nullptr);
    // code_cache_straddling.cpp. The same for an instruction of four bytes that begins in one page and ends in another.
    const uint8_t* find(const Straddle& place, CodeMode mode);
    const uint8_t* translate(const Straddle& place, CodeMode mode, TracedTranslation* traced = nullptr);
    // The jump at `site` leads to the code for `physical` from now on.
    void link(uint8_t* site, uint64_t physical, CodeMode mode);
    // Where time is spent.
    struct LoopPlace {
        const memory::Region* region;
        uint64_t physical;  // of a block
        CodeMode mode;
        std::vector<uint16_t> visited = {};  // offsets of blocks in its page that must be in the loop
    };
    // The loop around the block, if there is one, is compiled as one, by a thread of the cache's own; at once, when it
    // is traced.
    void translate_loop(const LoopPlace& place, TracedTranslation* traced = nullptr);
    // Starts that thread; until then, and where the host has none to give, the caller compiles. Once, before harts run.
    void start_thread();
    // Waits until all loops are compiled.
    void finish_loops();
    // Drops what memory does not hold any more. At fence.i. How much was ever dropped: code that was found before is
    // still right when that has not changed.
    uint64_t compare_written();
    // A store went to the page of `physical`.
    void note_write(uint64_t physical);

    // Code pages so far; grows.
    uint64_t code_pages() const { return code_pages_.load(); }
    // Changes when everything was dropped; code found before is gone then.
    uint64_t generation() const { return generation_.load(); }
    // A hart announces that it will run translated code; false: not now.
    bool enter(Participant& participant);
    static void exit(Participant& participant) { participant.inside.store(false); }

    CacheStatistics statistics() const;
    size_t host_bytes() const { return memory_.used(); }

  private:
    struct Link {
        uint8_t* site;
        int32_t unlinked;  // the displacement before
    };
    struct NativeBlock {
        uint64_t key;
        uint64_t physical;
        uint64_t other_physical = 0;  // where the rest of it is, for one half of an instruction
        uint64_t hash;                // of its guest code
        uint32_t bytes;
        const uint8_t* entry = nullptr;  // null: not for translated code
        bool is_loop_known = false;      // or that it is in none
        std::vector<uint64_t> regions;   // the numbers of those that hold it; empty: none
        std::vector<Link> incoming;
    };
    struct CodePage {
        const memory::Region* region;
        uint64_t number = 0;   // as `code_pages` counted when it came
        unsigned writes = 0;   // since it holds code
        bool refused = false;  // written too often: its code is interpreted until the next fence
        bool settled = false;  // compared since no hart had a write entry from before
        std::vector<std::unique_ptr<NativeBlock>> blocks;
    };

    // A loop to be compiled.
    using PageCopy = std::array<uint8_t, memory::kPageSize>;
    struct LoopJob {
        LoopPlace place;
        uint64_t generation;
        PageCopy page;
    };
    struct CompiledLoop;

    CodeCache(doppel::translate::CodeMemory memory, std::shared_ptr<StoredCode> stored,
              const doppel::translate::Techniques& techniques);
    void compile_loops(const std::stop_token& stop);
    CompiledLoop compile(const LoopJob& job) const;
    void finish(const LoopJob& job, const CompiledLoop& made, TracedTranslation* traced);
    void install(const LoopJob& job, const CompiledLoop& made, TracedTranslation* traced);
    bool settled(const CodePage& page) const;
    void drop(NativeBlock& block);
    bool holds(const CodePage& page, const NativeBlock& block) const;
    CodePage& page_at(const memory::Region& region, uint64_t page_address);
    const uint8_t* take_stored(const memory::Region& region, uint64_t physical, CodeMode mode,
                               TracedTranslation* traced);
    void install(CodePage& page, uint64_t page_address, CodeMode mode, const stored_code::Unit& unit,
                 const doppel::translate::x86::Placed& code);
    // Compiles the block at `offset` of `code`, a page's bytes or a few more; nullopt: there is no room.
    struct CompiledBlock {
        const uint8_t* entry = nullptr;  // null: not for translated code
        uint32_t bytes = 4;              // of guest code
    };
    std::optional<CompiledBlock> compile_block(std::span<const uint8_t> code, uint16_t offset, uint64_t physical,
                                               CodeMode mode, TracedTranslation* traced);
    const uint8_t* compile(const memory::Region& region, uint64_t physical, CodeMode mode, TracedTranslation* traced);
    void replace(CodePage& page, const NativeBlock& better);
    void drop_changed(CodePage& page);
    void flush_if_possible();
    void free_some();
    void forget_page(uint64_t physical_page, CodePage& page);

    const doppel::translate::Techniques techniques_;
    mutable std::mutex lock_;
    doppel::translate::CodeMemory memory_;
    doppel::translate::x86::Thunks thunks_;
    const uint8_t* thunk_base_ = nullptr;
    size_t kept_ = 0;  // bytes of `memory_` that hold the thunks
    std::unordered_map<uint64_t, NativeBlock*> blocks_;
    std::unordered_map<uint64_t, CodePage> pages_;
    using StraddleKey = std::array<uint64_t, 2>;  // the first half's key_of(), and where the second half is
    static StraddleKey key_of(const NativeBlock& half);
    std::map<StraddleKey, const uint8_t*> straddling_;  // null: not for translated code
    // What the last flush left, freed little by little: all at once would stall the guest.
    std::unordered_map<uint64_t, NativeBlock*> old_blocks_;
    std::unordered_map<uint64_t, CodePage> old_pages_;
    std::vector<Participant*> participants_;
    std::atomic<uint64_t> code_pages_{0};
    std::atomic<uint64_t> generation_{0};
    uint64_t regions_ = 0;
    uint64_t drops_ = 0;
    // As the last comparison found it: what it would find again need not be looked at.
    struct Compared {
        uint64_t pages = 0, writes = 0;
        bool settled = false;
    };
    Compared compared_;
    bool any_refused_ = false;
    std::set<const memory::Region*> regions_with_code_;
    std::atomic<bool> flush_wanted_{false};
    CacheStatistics statistics_;
    std::shared_ptr<StoredCode> stored_;

    std::deque<LoopJob> loop_jobs_;
    bool compiles_loop_ = false;
    std::condition_variable_any loop_jobs_changed_;
    std::jthread loop_compiler_;  // the last member: it uses the others
};

}  // namespace doppel::cpu::translate
