// The console of a machine, between its process and whoever is attached to it at the moment.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>

namespace doppel::instance {

class RotatingLog;

// What the machine prints goes to the log and to every client; what clients type goes to the machine, in the order in
// which it comes. Input waits for a machine that does not take it. A client that does not read loses what is beyond
// kClientRoom; the log has everything. One thread; nothing blocks.
class ConsoleHub {
  public:
    static constexpr int kClients = 8;  // further ones are turned away
    static constexpr size_t kClientRoom = 256 << 10;
    static constexpr int kPolled = kClients + 2;

    explicit ConsoleHub(RotatingLog& log) : log_(log) {}
    ~ConsoleHub();
    ConsoleHub(const ConsoleHub&) = delete;
    ConsoleHub& operator=(const ConsoleHub&) = delete;

    // Owned from now on. -1: no machine at the moment; input is thrown away then.
    void set_machine(int socket);
    void set_listener(int socket) { listener_ = socket; }
    void add_client(int socket);

    // Fills kPolled entries for poll(2), and does what they say afterwards.
    void prepare(pollfd* fds) const;
    void handle(const pollfd* fds);

    // Everything that the machine has printed, to its end of file or until nothing more is there.
    void drain_machine();
    // Whether clients still have to read something.
    bool pending() const;

  private:
    struct Client {
        int socket = -1;
        uint8_t* bytes = nullptr;  // what it has not read, `size` of `room` bytes from `at` on
        size_t at = 0, size = 0, room = 0;
    };
    bool read_machine();
    void write_machine();
    void read_client(Client& client);
    void send(Client& client, const uint8_t* bytes, size_t size);
    static bool keep(Client& client, const uint8_t* bytes, size_t size);
    void flush(Client& client);
    static void leave(Client& client);
    void accept_client();

    RotatingLog& log_;
    int machine_ = -1;
    int listener_ = -1;
    Client clients_[kClients];
    uint8_t input_[4096];
    size_t input_at_ = 0, input_size_ = 0;
};

}  // namespace doppel::instance
