// What an instance that runs follows of a change, and what it will be when it starts again: the user is told of both.
#pragma once

#include "instance/store.h"

namespace doppel::cli {

// `instance` is as it was seen before the change, which is in the database already.
void follow(const instance::Store& store, const instance::Instance& instance, const instance::Document& after);

}  // namespace doppel::cli
