// Whether this is a build with AddressSanitizer or ThreadSanitizer, whose runtimes need more of stack and kernel.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DOPPEL_INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DOPPEL_INSTRUMENTED 1
#endif
#endif
#ifndef DOPPEL_INSTRUMENTED
#define DOPPEL_INSTRUMENTED 0
#endif

namespace doppel {

inline constexpr bool kInstrumented = DOPPEL_INSTRUMENTED != 0;

}  // namespace doppel
