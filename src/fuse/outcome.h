// What a file operation gives: a value, or the errno value that the client gets.
#pragma once

#include <tl/expected.hpp>
#include <utility>

namespace doppel::fuse {

template <class T = void>
using Outcome = tl::expected<T, int>;

inline tl::unexpected<int> refuse(int error_number) {
    return tl::unexpected<int>(error_number);
}

}  // namespace doppel::fuse

// FUSE_TRY(auto node, find(id)): declares `node`, or gives the error number to the caller, an Outcome.
#define FUSE_CONCAT_(a, b) a##b
#define FUSE_CONCAT(a, b) FUSE_CONCAT_(a, b)
#define FUSE_TRY(declaration, expression)                                            \
    auto FUSE_CONCAT(fuse_outcome_, __LINE__) = (expression);                        \
    if (!FUSE_CONCAT(fuse_outcome_, __LINE__))                                       \
        return ::doppel::fuse::refuse(FUSE_CONCAT(fuse_outcome_, __LINE__).error()); \
    declaration = std::move(*FUSE_CONCAT(fuse_outcome_, __LINE__))
// The same for Outcome<void>.
#define FUSE_CHECK(expression)                                                                                       \
    do {                                                                                                             \
        if (auto fuse_checked_ = (expression); !fuse_checked_) return ::doppel::fuse::refuse(fuse_checked_.error()); \
    } while (false)
