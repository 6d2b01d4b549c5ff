#include <string>
#include <vector>

#include "cli/dispatch.h"

int main(int argc, char** argv) {
    return doppel::cli::dispatch(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
