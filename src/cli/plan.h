// What `doppel run` will do, decided before anything is done: level, architecture, engine and why, and the machine.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "cli/arguments.h"
#include "image/catalog.h"
#include "machine/spec/specification.h"

namespace doppel::cli {

struct Choice {
    std::string value;
    std::string why;
};

struct Plan {
    Choice level;
    Choice arch;
    Choice engine;
    bool arch_was_asked = false;
    std::string image;                     // the image's name; empty without one
    machine::Specification specification;  // of an image only what the options say, until `add_image`
};

// Looks at WHAT, but neither makes nor starts anything. Wrong requests are kUsage, impossible and unbuilt ones kFailed.
Result<Plan> make_plan(const Arguments& arguments, const image::Catalog& catalog);

// The user's folder of translations; an error where there is no home.
Result<std::filesystem::path> default_translation_cache();

// The image's disk for a machine that is not kept: what the guest writes ends with it.
machine::DiskChoice throwaway_disk(const image::Image& image);

// Puts the image's kernel, initrd and command line under what the options said, and `disk` first if the image has one,
// and checks the whole.
Result<> add_image(Plan& plan, const image::Image& image, const machine::DiskChoice& disk);

}  // namespace doppel::cli
