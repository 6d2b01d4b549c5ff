// What an instance is asked to be: what the database keeps, `doppel edit` shows and `doppel apply` reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "instance/keeper/layout.h"
#include "machine/spec/specification.h"

namespace doppel::instance {

struct Document {
    std::string image;  // whose kernel, initrd and command line stand below the machine's own; empty: none
    Restart restart = Restart::kNo;
    bool remove = false;             // it is removed when it ends
    bool autostart = false;          // it starts with the user's session
    machine::Specification machine;  // paths are absolute
    bool operator==(const Document&) const = default;
};

std::optional<Restart> restart_from(std::string_view word);
std::string_view name_of(Restart restart);

// One object: level ("machine"), image, restart, remove, autostart, machine (machine/spec's).
std::string to_json(const Document& document);
// Takes nothing on trust, and checks everything but what an image brings.
Result<Document> document_from_json(std::string_view text);

Result<> validate(const Document& document);

// With what an image's files would add in place: what machine::validate looks at.
machine::Specification complete_for_checks(const Document& document);

// Every path of the machine that is relative is so to `folder`; sockets of the machine that an instance has itself
// (the agent's, the control socket) are an error of kind usage.
Result<> make_absolute(machine::Specification& machine, const std::string& folder);

}  // namespace doppel::instance
