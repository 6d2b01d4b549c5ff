// A file that grows up to a limit and then makes room for a new one: NAME, NAME.1 (the one before), NAME.2, ...
#pragma once

#include <cstddef>
#include <cstdint>

namespace doppel::instance {

class RotatingLog {
  public:
    // `directory` is a descriptor, borrowed. A limit of 0: without end.
    RotatingLog(int directory, const char* name, uint64_t limit) : directory_(directory), name_(name), limit_(limit) {}
    ~RotatingLog();
    RotatingLog(const RotatingLog&) = delete;
    RotatingLog& operator=(const RotatingLog&) = delete;

    // Opens at the first write. What a full disk does not take is lost; the next write tries again.
    void write(const void* bytes, size_t size);

  private:
    bool open();
    void rotate();

    int directory_;
    const char* name_;
    uint64_t limit_;
    int fd_ = -1;
    uint64_t size_ = 0;
};

}  // namespace doppel::instance
