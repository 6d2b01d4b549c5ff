// A specification within a larger JSON document that is parsed already.
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "machine/spec/specification.h"

namespace doppel::machine {

// As from_json, but for what `validate` says: what an image adds may be missing yet.
Result<Specification> from_members(const nlohmann::json& object);

}  // namespace doppel::machine
