#include "machine/gdb/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "machine/gdb/session_errors.h"

namespace doppel::machine::gdb {

namespace {

// Signals as the protocol numbers them.
constexpr unsigned kSigint = 2, kSigtrap = 5;

}  // namespace

void Session::handle(std::string_view packet) {
    if (auto reply = answer(packet)) send_(*reply);
}

// What needs no halted target.
Session::Answer Session::answer(std::string_view packet) {
    if (packet.empty()) return kNotSupported;
    Fields fields(packet.substr(1));
    switch (packet.front()) {
        case '?':
            return why_halted();
        case 'H':
            return select_thread(fields);
        case 'T': {
            auto id = fields.number();
            return id && thread_of(*id) ? kOk : kNoThread;
        }
        case 'q':
        case 'Q':
            return query(packet);
        case 'D':
            return detach();
        case 'k':
            target_.kill();
            return std::nullopt;
        case 'v':
            if (packet.starts_with("vKill")) return kill_by_packet();
            if (packet == "vCont?") return "vCont;c;C;s;S";
            break;
        default:
            break;
    }
    return answer_halted(packet);
}

Session::Answer Session::answer_halted(std::string_view packet) {
    constexpr std::string_view kKnown = "gGpPmMXcCsSzZ";
    bool resumes_threads = packet.starts_with("vCont;");
    if (kKnown.find(packet.front()) == kKnown.npos && !resumes_threads) return kNotSupported;
    if (waits_ || target_.running()) return kBusy;
    Fields fields(packet.substr(resumes_threads ? sizeof "vCont;" - 1 : 1));
    if (resumes_threads) return resume_by_threads(fields);
    switch (packet.front()) {
        case 'g':
            return read_registers();
        case 'G':
            return write_registers(fields.rest());
        case 'p':
            return read_register(fields);
        case 'P':
            return write_register(fields);
        case 'm':
            return read_memory(fields);
        case 'M':
        case 'X':
            return write_memory(fields, packet.front() == 'X');
        case 'z':
        case 'Z':
            return change_point(packet.front() == 'Z', fields);
        default:
            return resume_one_way(packet.front(), fields);
    }
}

Session::Answer Session::why_halted() {
    if (waits_) return kBusy;
    if (target_.running()) {
        target_.halt();
        take_next_stop();
    }
    return stop_reply();
}

std::optional<unsigned> Session::thread_of(uint64_t id) const {
    // Thread 0 means any, so ids begin with 1.
    if (id == 0 || id > target_.thread_count()) return std::nullopt;
    return static_cast<unsigned>(id - 1);
}

Session::Answer Session::select_thread(Fields fields) {
    bool for_motion = fields.skip('c');
    if (!for_motion && !fields.skip('g')) return kNotSupported;
    bool all = fields.rest() == "-1" || fields.rest() == "0";
    std::optional<unsigned> thread = stopped_thread_;
    if (!all) {
        auto id = fields.number();
        thread = id ? thread_of(*id) : std::nullopt;
        if (!thread) return kNoThread;
    }
    if (for_motion) {
        stepping_ = *thread;
        all_move_ = all;
    } else {
        thread_ = *thread;
    }
    return kOk;
}

Session::Answer Session::detach() {
    leave();
    if (!target_.running()) target_.resume(std::vector(target_.thread_count(), Motion::kRun));
    return kOk;
}

Session::Answer Session::kill_by_packet() {
    target_.kill();
    return kOk;
}

void Session::leave() {
    bool was_running = target_.running();
    if (!applied_points_.empty() || waits_) {
        target_.halt();
        target_.set_points({});
        if (was_running) target_.resume(std::vector(target_.thread_count(), Motion::kRun));
    }
    points_.clear();
    applied_points_.clear();
    points_changed_ = false;
    waits_ = false;
    untold_.clear();
}

std::string Session::stop_reply() {
    std::string reply = fmt::format("T{:02x}thread:{:x};", interrupted_ ? kSigint : kSigtrap, stopped_thread_ + 1);
    if (stop_ && stop_->reason == Stop::Reason::kWatchpoint) {
        std::string_view name = stop_->kind == PointKind::kWrite  ? "watch"
                                : stop_->kind == PointKind::kRead ? "rwatch"
                                                                  : "awatch";
        reply += fmt::format("{}:{:x};", name, stop_->address);
    }
    if (stop_ && stop_->reason == Stop::Reason::kBreakpoint) {
        auto set = [&](PointKind kind) {
            return std::ranges::any_of(
                points_, [&](const Point& point) { return point.kind == kind && point.address == stop_->address; });
        };
        if (knows_swbreak_ && set(PointKind::kSoftware)) {
            reply += "swbreak:;";
        } else if (knows_hwbreak_ && set(PointKind::kHardware)) {
            reply += "hwbreak:;";
        }
    }
    for (size_t number : target_.registers().expedited) {
        if (auto bytes = target_.read_register(stopped_thread_, number)) {
            reply += fmt::format("{:x}:{};", number, to_hex(*bytes));
        }
    }
    return reply;
}

void Session::interrupt() {
    if (!waits_) return;
    target_.halt();
    waits_ = false;
    if (!take_next_stop()) {
        stop_.reset();
        interrupted_ = true;
    }
    send_(stop_reply());
}

void Session::target_stopped() {
    if (!waits_) return;
    // The other threads go on until they are halted, and what they stop for meanwhile comes behind the first.
    target_.halt();
    if (!take_next_stop()) {
        target_.resume(motions_);
        return;
    }
    waits_ = false;
    send_(stop_reply());
}

void Session::target_ended(int exit_code) {
    constexpr int kByte = 0xff;
    if (waits_) send_(fmt::format("W{:02x}", exit_code & kByte));
    waits_ = false;
}

}  // namespace doppel::machine::gdb
