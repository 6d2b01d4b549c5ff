// One request of a Client, from its OPEN to its RESULT.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "agent/client/client.h"

namespace doppel::agent::client {

inline constexpr const char* kPurpose = "ask the guest's agent";  // of errors

// What a connection's end means; `error` 0: the machine closed it.
Error connection_broke(int error);

class Transfer {
  public:
    Transfer(int socket, FrameReader& reader, uint32_t channel, const Streams& streams);
    Result<Outcome> run(Service service, const Bytes& request);

  private:
    // Output that waits for its descriptor: at most the credit that was given.
    struct Sink {
        int fd;
        size_t step;  // bytes that a ready descriptor takes without blocking
        Bytes waiting;
        size_t written = 0;  // of it
        bool pending() const { return written < waiting.size(); }
    };
    bool done() const;
    Result<> round();
    Result<> read_socket();
    Result<> write_socket();
    Result<> read_input();
    Result<> write_sink(Sink& sink);
    Result<> take(const Frame& frame);
    Result<> take_credit(std::span<const uint8_t> payload);
    void take_control();
    void give_credit(size_t bytes);
    void send(FrameType type, uint8_t stream, std::span<const uint8_t> payload);

    int socket_;
    FrameReader& reader_;
    uint32_t channel_;
    const Streams& streams_;
    bool input_open_ = true;
    uint32_t to_agent_ = kInitialWindow;    // bytes that may be sent
    uint32_t from_agent_ = kInitialWindow;  // bytes that may still come
    uint32_t credit_ = 0;                   // to give back
    Sink output_, error_;
    Bytes out_;
    size_t sent_ = 0;
    std::optional<Outcome> outcome_;
};

}  // namespace doppel::agent::client
