// A raw disk that was recognised as such by its content stays one: who writes to it cannot make it look like an image.
#pragma once

#include "storage/block_device.h"

namespace doppel::storage::disk {

class PlainGuard : public Filter {
  public:
    using Filter::Filter;

  protected:
    // A beginning that is an image's is refused (EPERM).
    Task<Status> do_write(uint64_t offset, Buffers from) override;
};

}  // namespace doppel::storage::disk
