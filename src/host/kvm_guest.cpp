#include "host/kvm_guest.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "host/sandbox.h"

namespace doppel::host {

Result<KvmGuest> make_kvm_guest() {
    const auto failed = [](std::string_view step) { return fail(Error{"", "", failure(step, errno)}); };
    KvmGuest guest;
    guest.device.reset(open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!guest.device) return failed("open /dev/kvm");
    const int version = ioctl(guest.device.get(), KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION)
        return fail(Error{"", "", "KVM's API version is " + std::to_string(version) + ", not 12"});
    guest.machine.reset(ioctl(guest.device.get(), KVM_CREATE_VM, 0));
    if (!guest.machine) return failed("make a virtual machine");
    guest.processor.reset(ioctl(guest.machine.get(), KVM_CREATE_VCPU, 0));
    if (!guest.processor) return failed("make a virtual processor");
    return guest;
}

}  // namespace doppel::host
