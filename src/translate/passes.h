// Passes over a recorded block.
#pragma once

#include "translate/ir.h"

namespace doppel::translate {

// Removes register writes that the same block overwrites before anybody can see them, and then what nobody uses.
void remove_dead(Block& block);

}  // namespace doppel::translate
