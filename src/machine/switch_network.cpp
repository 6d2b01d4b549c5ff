#include "machine/switch_network.h"

#include <fcntl.h>

#include "network/lan/folder.h"

namespace doppel::machine {

Result<std::unique_ptr<network::lan::MemberPort>> join_switch(EventLoop& loop, const NetChoice& choice,
                                                              const network::MacAddress& mac,
                                                              const std::vector<network::Forward>& forwards) {
    namespace lan = network::lan;
    DOPPEL_TRY(const lan::Folder folder, lan::Folder::of_user());
    DOPPEL_TRY(UniqueFd socket, folder.reach(choice.name));
    lan::JoinRequest request{choice.port, mac, {}};
    for (const network::Forward& forward : forwards) request.forwards.push_back(text_of(forward));
    DOPPEL_TRY(lan::Message answer, lan::ask(socket.get(), to_json(request)));
    DOPPEL_TRY(network::ring::Memory memory, network::ring::Memory::open(std::move(answer.descriptor)));
    fcntl(socket.get(), F_SETFL, O_NONBLOCK);
    return lan::MemberPort::create(loop, choice.name, std::move(socket), std::move(memory));
}

}  // namespace doppel::machine
