// The help texts, from the verbs' tables.
#pragma once

#include <string>

#include "cli/verb.h"

namespace doppel::cli {

std::string help_for_doppel();
std::string help_for(const Verb& verb);

}  // namespace doppel::cli
