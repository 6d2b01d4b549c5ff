// The agent's side of a session: frames of the port on one side, workers on the other.
#pragma once

#include <poll.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "agent/frame.h"
#include "agent/messages.h"
#include "guest/worker.h"

namespace doppel::guest {

class Session {
  public:
    explicit Session(int port) : port_(port) {}
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Until the port ends or what comes from it makes no sense: then it has to be opened anew.
    void serve();

  private:
    struct Channel {
        uint32_t number = 0;
        Worker worker;
        std::vector<uint8_t> input;                    // for the worker
        bool input_ended = false;                      // no more comes
        uint32_t may_send = agent::kInitialWindow;     // bytes of DATA
        uint32_t may_receive = agent::kInitialWindow;  // bytes that the host may still send
        uint32_t used = 0;                             // credit to give back
        bool ended = false;                            // the worker
        int status = 0;
        bool has_outcome = false;
        agent::Outcome outcome;
    };
    struct Leaving {
        pid_t pid;
        UniqueFd ended;
    };
    enum class Wish : uint8_t { kPort, kEnded, kReport, kInput, kOutput, kError, kLeaving };
    struct Watch {
        Wish wish;
        size_t index;
    };

    bool round();
    void collect(std::vector<pollfd>& fds, std::vector<Watch>& watches) const;
    bool read_port();
    bool write_port();
    bool take(const agent::Frame& frame);
    bool take_for_channel(Channel& channel, const agent::Frame& frame);
    void take_hello(const agent::Hello& hello);
    void open(const agent::Frame& frame);
    void control(Channel& channel, const agent::Frame& frame);
    void feed_worker(Channel& channel);
    void end_input(Channel& channel);
    void read_report(Channel& channel);
    void read_output(Channel& channel, agent::Stream stream);
    void look_after(Channel& channel);
    void finish(Channel& channel, const agent::Outcome& outcome);
    void abandon(Channel& channel);
    void reap(Leaving& one);
    void remove_finished();
    void send(agent::FrameType type, uint8_t stream, uint32_t channel, std::span<const uint8_t> payload);
    void send_outcome(uint32_t channel, const agent::Outcome& outcome);
    size_t frame_at(size_t offset) const;
    Channel* find(uint32_t number);
    bool crowded() const { return out_.size() - sent_ >= kHighWater; }

    static constexpr size_t kHighWater = 128 << 10;  // bytes towards the host; more is not read from workers
    static constexpr size_t kMaxLeaving = 256;

    int port_;
    bool in_session_ = false;
    agent::FrameReader reader_;
    std::vector<uint8_t> out_;
    size_t sent_ = 0;  // of it
    std::vector<std::unique_ptr<Channel>> channels_;
    std::vector<Leaving> leaving_;    // processes that nobody asks for any more
    std::vector<UniqueFd> reported_;  // closed once the host has it all: the workers wait for that
};

}  // namespace doppel::guest
