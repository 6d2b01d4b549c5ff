// One debugger's session: answers packets, and says when the target has stopped.
// Source: Debugging with GDB, appendix "GDB Remote Serial Protocol"; all-stop mode.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "machine/gdb/packet.h"
#include "machine/gdb/target.h"

namespace doppel::machine::gdb {

// Belongs to the target's thread. `send` takes a payload for the debugger. A session changes nothing before it is asked
// for something that does: a client that sends garbage leaves the target as it is.
class Session {
  public:
    Session(Target& target, std::function<void(std::string_view)> send) : target_(target), send_(std::move(send)) {}

    void handle(std::string_view packet);
    void interrupt();       // the debugger's Ctrl-C
    void target_stopped();  // the target has stops to be taken
    void target_ended(int exit_code);
    // The debugger is gone: nothing is left of its points. What is halted stays halted.
    void leave();

    bool acknowledges() const { return acknowledges_; }

  private:
    using Answer = std::optional<std::string>;  // nullopt: none now

    // session.cpp
    Answer answer(std::string_view packet);
    Answer answer_halted(std::string_view packet);
    Answer why_halted();
    Answer select_thread(Fields fields);
    Answer detach();
    Answer kill_by_packet();
    std::string stop_reply();
    std::optional<unsigned> thread_of(uint64_t id) const;

    // session_motion.cpp
    Answer resume_one_way(char action, Fields fields);
    Answer resume_by_threads(Fields fields);
    Answer resume(std::vector<Motion> motions);
    bool take_next_stop();
    Answer change_point(bool insert, Fields fields);
    void apply_points();

    // session_state.cpp
    Answer read_registers();
    Answer write_registers(std::string_view hex);
    Answer read_register(Fields fields);
    Answer write_register(Fields fields);
    Answer read_memory(Fields fields);
    Answer write_memory(Fields fields, bool binary);
    Place place(uint64_t address) const;

    // session_query.cpp
    Answer query(std::string_view packet);
    Answer supported(Fields fields);
    Answer read_description(Fields fields);
    Answer thread_list() const;
    Answer monitor(std::string_view hex);
    std::string monitor_physical(std::string_view argument);

    Target& target_;
    std::function<void(std::string_view)> send_;
    bool acknowledges_ = true;
    bool waits_ = false;     // the debugger waits for a stop
    unsigned thread_ = 0;    // of registers and memory
    unsigned stepping_ = 0;  // of c and s without vCont
    bool all_move_ = true;   // c moves all threads, not that one only
    bool physical_ = false;  // addresses of memory are
    bool knows_swbreak_ = false;
    bool knows_hwbreak_ = false;
    std::optional<Stop> stop_;  // the last, if the target stopped by itself
    bool interrupted_ = false;  // the last was Ctrl-C
    std::vector<Stop> untold_;  // watchpoints that other threads hit at the same time
    unsigned stopped_thread_ = 0;
    std::set<Point> points_;
    bool points_changed_ = false;
    std::vector<Point> applied_points_;
    std::vector<Motion> motions_;  // of the last resume
};

}  // namespace doppel::machine::gdb
