// A document as people write it: keys with values, on the command line and as TOML (`doppel edit`).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "instance/document.h"

namespace doppel::instance {

// image, restart, remove, autostart and the machine's keys (machine/spec), in one list. Sizes as parse_size reads
// them, lists as TOML writes them.
std::string to_toml(const Document& document);
// A missing key keeps its default. `name`, if it is there and not null, is taken out first.
Result<Document> document_from_toml(std::string_view text, std::string* name = nullptr);

// KEY=VALUE, as often as needed; a list is what its key is given together, and empty after KEY= alone.
Result<> set_values(Document& document, const std::vector<std::string>& assignments);

// "-cpus = 1\n+cpus = 4\n" for what differs; empty: nothing does.
std::string difference(const Document& before, const Document& after);
// The keys that differ.
std::vector<std::string> changed_keys(const Document& before, const Document& after);

}  // namespace doppel::instance
