#include "cli/disk_firmware.h"

#include <system_error>

namespace doppel::cli {

namespace fs = std::filesystem;

Result<fs::path> add_disk_firmware(std::span<const fs::path> roots, const std::string& disk,
                                   machine::Specification& specification) {
    for (const fs::path& root : roots) {
        const fs::path code = root / "usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd";
        std::error_code error;
        if (!fs::is_regular_file(code, error)) continue;
        specification.code_flash = {.path = code, .read_only = true};
        return code;
    }
    return fail(Error{"run", disk, "there is no firmware on this host that starts a disk",
                      "install qemu-efi-riscv64, or give --kernel, --firmware or --flash"});
}

}  // namespace doppel::cli
