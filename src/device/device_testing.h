// What unit tests of devices share: a receiver of interrupt lines, and saved state as a document of its own.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "base/saved_state.h"
#include "device/interrupt.h"

namespace doppel::device {

// Notes what every input was told, by any thread: a device's workers interrupt, too.
class RecordedLines final : public InterruptSink {
  public:
    void set_level(uint32_t input, bool level) override {
        std::lock_guard guard(lock_);
        if (level && !levels_[input]) edges_[input]++;
        levels_[input] = level;
        told_++;
    }
    InterruptLine line(uint32_t input) { return {*this, input}; }
    bool level(uint32_t input) const {
        std::lock_guard guard(lock_);
        auto found = levels_.find(input);
        return found != levels_.end() && found->second;
    }
    int edges(uint32_t input) const {
        std::lock_guard guard(lock_);
        auto found = edges_.find(input);
        return found == edges_.end() ? 0 : found->second;
    }
    int told() const {  // calls, of all inputs
        std::lock_guard guard(lock_);
        return told_;
    }

  private:
    mutable std::mutex lock_;  // leaf
    std::map<uint32_t, bool> levels_;
    std::map<uint32_t, int> edges_;  // from low to high
    int told_ = 0;
};

inline std::vector<uint8_t> saved(const Saved& object) {
    StateWriter writer;
    object.save(writer);
    return writer.finish();
}

inline Result<> restore(Saved& object, const std::vector<uint8_t>& document) {
    DOPPEL_TRY(StateReader reader, StateReader::parse(document));
    return object.restore(reader);
}

}  // namespace doppel::device
