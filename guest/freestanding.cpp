// A static program stays small without the library's exceptions: what would throw ends the agent, and whoever watches
// it starts it again.
#include <cstdlib>
#include <new>

namespace std {
void __throw_length_error(const char*) {
    abort();
}
void __throw_logic_error(const char*) {
    abort();
}
void __throw_out_of_range(const char*) {
    abort();
}
void __throw_out_of_range_fmt(const char*, ...) {
    abort();
}
void __throw_bad_alloc() {
    abort();
}
void __throw_bad_array_new_length() {
    abort();
}
}  // namespace std

void* operator new(size_t bytes) {
    void* memory = malloc(bytes != 0 ? bytes : 1);
    if (memory == nullptr) abort();
    return memory;
}
void operator delete(void* memory) noexcept {
    free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    free(memory);
}
