// Lets a debugger connect: a socket on the event loop in front of a session.
#pragma once

#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "machine/gdb/packet.h"
#include "machine/gdb/session.h"
#include "machine/gdb/target.h"

namespace doppel::machine::gdb {

// Belongs to the loop's thread, or to the time when the loop does not run. One debugger at a time: others are turned
// away. A client that goes away without a word leaves the target as it is, without its points.
class Server {
  public:
    // `where` is a TCP port of 127.0.0.1 in decimal (0: any that is free) or the path of a socket to be made, which
    // only its owner may use. The loop and the target outlive the server.
    static Result<std::unique_ptr<Server>> listen(const std::string& where, EventLoop& loop, Target& target);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // What GDB's `target remote` takes: "127.0.0.1:1234", or the path.
    const std::string& location() const { return location_; }
    void target_stopped();
    void target_ended(int exit_code);

  private:
    Server(EventLoop& loop, Target& target, UniqueFd listener, std::string location);
    void accept_client();
    void client_ready(uint32_t events);
    void read_some();
    void serve();
    void take(const Item& item);
    void send_packet(std::string_view payload);
    void send_raw(std::string_view bytes);
    void flush();
    void update_watch();
    void hang_up();

    EventLoop& loop_;
    Target& target_;
    UniqueFd listener_;
    const std::string location_;

    UniqueFd client_;
    std::unique_ptr<Session> session_;
    PacketReader reader_;
    std::string input_;   // not served yet
    std::string output_;  // not sent yet
    std::string last_;    // the last packet, for a debugger that lost it
    uint32_t watched_ = 0;
    bool broken_ = false;
};

}  // namespace doppel::machine::gdb
