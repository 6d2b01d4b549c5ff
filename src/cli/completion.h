// The shells' completion scripts, from the verbs' tables. They offer what is built.
#pragma once

#include <span>
#include <string>

#include "cli/verb.h"

namespace doppel::cli {

std::string bash_completion(std::span<const Verb> verbs);
std::string zsh_completion(std::span<const Verb> verbs);
std::string fish_completion(std::span<const Verb> verbs);

}  // namespace doppel::cli
