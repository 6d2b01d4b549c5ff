#include "fuse/open_file.h"

#include <cerrno>
#include <utility>

namespace doppel::fuse {

Outcome<uint64_t> OpenFiles::add(OpenFilePtr file) {
    std::lock_guard guard(lock_);
    if (files_.size() >= most_) return refuse(ENFILE);
    files_[next_] = std::move(file);
    return next_++;
}

OpenFilePtr OpenFiles::find(uint64_t handle) const {
    std::lock_guard guard(lock_);
    const auto found = files_.find(handle);
    return found == files_.end() ? nullptr : found->second;
}

OpenFilePtr OpenFiles::take(uint64_t handle) {
    std::lock_guard guard(lock_);
    const auto found = files_.find(handle);
    if (found == files_.end()) return nullptr;
    OpenFilePtr file = std::move(found->second);
    files_.erase(found);
    return file;
}

void OpenFiles::clear() {
    std::unordered_map<uint64_t, OpenFilePtr> gone;  // closed without the lock
    std::lock_guard guard(lock_);
    gone.swap(files_);
}

}  // namespace doppel::fuse
