// Guest code under construction.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::differential {

class Assembly {
  public:
    explicit Assembly(uint64_t base) : base_(base) {}

    uint64_t here() const { return base_ + bytes_.size(); }
    void put(uint32_t bits);
    // Assembly text as isa/riscv/assemble.h takes it; what does not assemble is a mistake in this program, and ends it.
    template <class... Arguments>
    void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
        put_text(fmt::format(format, std::forward<Arguments>(arguments)...));
    }
    // call through ra, at any distance
    void call(uint64_t target);
    // A value of less than 2^31 - 2^11.
    void constant(std::string_view register_name, uint64_t value);
    std::vector<uint8_t> take() { return std::move(bytes_); }

  private:
    void put_text(const std::string& text);

    uint64_t base_;
    std::vector<uint8_t> bytes_;
};

}  // namespace doppel::differential
