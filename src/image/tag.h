// A second name for an image.
#pragma once

#include <string>

#include "base/result.h"
#include "image/catalog.h"
#include "image/stop.h"

namespace doppel::image {

// `to` becomes an image with the same files (links where the file system has them) that stays when `from` is removed
// or made anew. An error when there is an image `to` already, or it is a name of what doppel makes.
Result<Image> tag_image(const Catalog& catalog, const std::string& from, const std::string& to,
                        const StopRequest& stop = {});

}  // namespace doppel::image
