// Errors as values: a function that can fail returns Result<T>.
#pragma once

#include <tl/expected.hpp>
#include <utility>

#include "base/error.h"

namespace doppel {

template <class T = void>
using Result = tl::expected<T, Error>;

// `return fail(Error{...});` in a function that returns any Result<T>.
inline tl::unexpected<Error> fail(Error error) {
    return tl::unexpected<Error>(std::move(error));
}

}  // namespace doppel

#define DOPPEL_CONCAT_(a, b) a##b
#define DOPPEL_CONCAT(a, b) DOPPEL_CONCAT_(a, b)

// DOPPEL_TRY(auto file, open_file(path)): declares `file`, or returns the error to the caller.
#define DOPPEL_TRY(declaration, expression)                                                \
    auto DOPPEL_CONCAT(doppel_result_, __LINE__) = (expression);                           \
    if (!DOPPEL_CONCAT(doppel_result_, __LINE__))                                          \
        return ::doppel::fail(std::move(DOPPEL_CONCAT(doppel_result_, __LINE__)).error()); \
    declaration = std::move(*DOPPEL_CONCAT(doppel_result_, __LINE__))

// The same for Result<void>.
#define DOPPEL_CHECK(expression)                                       \
    do {                                                               \
        if (auto doppel_checked_ = (expression); !doppel_checked_)     \
            return ::doppel::fail(std::move(doppel_checked_).error()); \
    } while (false)
