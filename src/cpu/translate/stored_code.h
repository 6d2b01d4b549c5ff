// A machine's use of translations that are kept on disk (stored_code/): what it takes from there, and notes of what it
// had to translate itself.
//
// The notes hold guest code only. Who keeps them translates them again (`retranslate`), so that a guest that has taken
// over its machine's process cannot leave host code for the next one.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "cpu/translate/recorder.h"
#include "stored_code/file.h"
#include "stored_code/folder.h"

namespace doppel::cpu::translate {

// What translations depend on besides the guest's code: this program, the host's processor, and `isa`. nullopt: the
// program does not tell which build it is.
std::optional<std::string> stored_configuration(std::string_view isa,
                                                const doppel::translate::Techniques& techniques = {});

// Not thread-safe. Needs no more than its descriptors.
class StoredCode {
  public:
    // `notes` is written to from its position on, up to kMaxNotes bytes; without it nothing is noted.
    static constexpr size_t kMaxNotes = 32 << 20;
    StoredCode(std::optional<stored_code::File> file, UniqueFd notes);
    ~StoredCode();  // writes what is noted
    StoredCode(const StoredCode&) = delete;
    StoredCode& operator=(const StoredCode&) = delete;

    // What seems to fit the code at `offset` of `page`, which may change meanwhile.
    std::optional<size_t> find(std::span<const uint8_t> page, uint16_t offset, CodeMode mode) const;
    // The unit that was found, if its code is what `page` holds now, and it has a part at `offset`.
    // nullptr: it is not. Valid until the next call.
    const stored_code::Unit* take(size_t number, std::span<const uint8_t> page, uint16_t offset);
    // That `parts` of `page`, without entries, were translated. A block has one.
    void note(std::span<const uint8_t> page, uint16_t start, CodeMode mode, bool is_loop,
              std::vector<stored_code::Part> parts);
    void write_notes();

  private:
    void append(std::span<const uint8_t> record);

    std::optional<stored_code::File> file_;
    UniqueFd notes_;
    std::vector<uint8_t> unwritten_;
    size_t noted_ = 0;         // bytes, written or not
    std::vector<bool> taken_;  // by unit
    stored_code::Unit unit_;   // the one taken last
};

// What notes say, each translated again; `notes` are untrusted, and what is no unit is left out.
stored_code::Additions read_notes(std::span<const uint8_t> notes, const doppel::translate::Techniques& techniques = {});

// The unit with host code, from its guest code alone. nullopt: it cannot be translated like that.
std::optional<stored_code::Unit> retranslate(const stored_code::Unit& source,
                                             const doppel::translate::Techniques& techniques = {});

}  // namespace doppel::cpu::translate
