// doppel-keeper: keeps one machine in the background. docs/instances.md tells of it.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "instance/keeper/keeper.h"
#include "instance/keeper/options.h"

int main(int argc, char** argv) {
    using namespace doppel::instance;
    constexpr int kUsage = 2, kNotStarted = 125;
    KeeperOptions options;
    if (!parse_options(argc, argv, options)) {
        dprintf(STDERR_FILENO, "doppel: usage: doppel-keeper: it is started by doppel; use doppel run -d\n");
        return kUsage;
    }
    const int directory = open(options.directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return kNotStarted;
    return Keeper(options, directory).run();
}
