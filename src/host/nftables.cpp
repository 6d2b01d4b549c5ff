#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {
namespace {

struct Request {
    nlmsghdr header;
    nfgenmsg family;
};

}  // namespace

// Asks nf_tables of a network namespace of its own for its generation: it answers only where it works.
Finding probe_nftables() {
    const std::string lost = "the kernel's fast path for published ports and NAT; the user-mode network serves instead";
    if (!enter_namespaces(CLONE_NEWNET)) return missing(failure("enter a network namespace", errno), lost);
    UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!netlink) return missing(failure("netlink socket", errno), lost);
    const timeval limit{2, 0};
    setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    Request request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.family.version = NFNETLINK_V0;
    if (send(netlink.get(), &request, sizeof request, 0) != static_cast<ssize_t>(sizeof request))
        return missing(failure("ask nf_tables", errno), lost);
    alignas(nlmsghdr) char answer[4096];
    const ssize_t got = recv(netlink.get(), answer, sizeof answer, 0);
    if (got < static_cast<ssize_t>(sizeof(nlmsghdr))) return missing("nf_tables does not answer", lost);
    nlmsghdr header;
    std::memcpy(&header, answer, sizeof header);
    if (header.nlmsg_type == NLMSG_ERROR && got >= static_cast<ssize_t>(sizeof header + sizeof(int))) {
        int error = 0;
        std::memcpy(&error, answer + sizeof header, sizeof error);
        return missing(failure("nf_tables", -error), lost);
    }
    return ok("nf_tables answers in a network namespace");
}

}  // namespace doppel::host
