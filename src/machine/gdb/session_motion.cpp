// Going on and stopping.
#include <algorithm>

#include "machine/gdb/session.h"
#include "machine/gdb/session_errors.h"

namespace doppel::machine::gdb {

namespace {

constexpr size_t kMaxPoints = 1024;

struct Action {
    Motion motion;
    std::optional<uint64_t> thread;  // nullopt: every one that no earlier action named
};

// "s:3", "C0b:-1", "c". nullopt: not such an action, or none that is known.
std::optional<Action> read_action(Fields fields) {
    Action action{Motion::kStay, std::nullopt};
    bool with_signal = false;
    if (fields.skip('c') || (with_signal = fields.skip('C'))) {
        action.motion = Motion::kRun;
    } else if (fields.skip('s') || (with_signal = fields.skip('S'))) {
        action.motion = Motion::kStep;
    } else {
        return std::nullopt;
    }
    // A machine takes no signals: their number is read and forgotten.
    if (with_signal && !fields.number()) return std::nullopt;
    if (fields.at_end()) return action;
    if (!fields.skip(':')) return std::nullopt;
    if (fields.rest() == "-1") return action;
    action.thread = fields.number();
    if (!action.thread || !fields.at_end()) return std::nullopt;
    return action;
}

}  // namespace

Session::Answer Session::resume_by_threads(Fields fields) {
    std::vector<std::optional<Motion>> chosen(target_.thread_count());
    while (!fields.at_end()) {
        auto action = read_action(Fields(fields.until(';')));
        if (!action) return kBadPacket;
        auto choose = [&](std::optional<Motion>& motion) {
            if (!motion) motion = action->motion;
        };
        if (!action->thread) {
            std::ranges::for_each(chosen, choose);
        } else if (auto thread = *action->thread == 0 ? thread_ : thread_of(*action->thread)) {
            choose(chosen[*thread]);
        } else {
            return kNoThread;
        }
    }
    std::vector<Motion> motions;
    for (const auto& motion : chosen) motions.push_back(motion.value_or(Motion::kStay));
    return resume(motions);
}

// c, s, C, S: with an address to go on at, or without.
Session::Answer Session::resume_one_way(char action, Fields fields) {
    bool with_signal = action == 'C' || action == 'S';
    if (with_signal && (!fields.number() || (!fields.at_end() && !fields.skip(';')))) return kBadPacket;
    if (!fields.at_end()) {
        auto address = fields.number();
        if (!address || !fields.at_end()) return kBadPacket;
        const RegisterLayout& layout = target_.registers();
        std::string bytes;
        for (unsigned i = 0; i < layout.bytes[layout.pc]; i++) bytes += static_cast<char>(*address >> 8 * i);
        if (!target_.write_register(stepping_, layout.pc, bytes)) return kBadAddress;
    }
    bool steps = action == 's' || action == 'S';
    bool others_move = !steps && all_move_;
    std::vector<Motion> motions(target_.thread_count(), others_move ? Motion::kRun : Motion::kStay);
    motions[stepping_] = steps ? Motion::kStep : Motion::kRun;
    return resume(motions);
}

Session::Answer Session::resume(std::vector<Motion> motions) {
    if (std::ranges::all_of(motions, [](Motion motion) { return motion == Motion::kStay; })) return kBadPacket;
    apply_points();
    // What another thread hit at the last stop is told now, if it is still asked for.
    std::erase_if(untold_, [&](const Stop& stop) {
        return std::ranges::none_of(points_, [&](const Point& point) {
            return point.kind == stop.kind && stop.address >= point.address &&
                   stop.address - point.address < point.length;
        });
    });
    if (take_next_stop()) return stop_reply();
    motions_ = std::move(motions);
    waits_ = true;
    target_.resume(motions_);
    return std::nullopt;
}

// The next stop to tell of becomes stop_; false: there is none.
bool Session::take_next_stop() {
    for (const Stop& stop : target_.take_stops()) untold_.push_back(stop);
    if (untold_.empty()) return false;
    stop_ = untold_.front();
    interrupted_ = false;
    untold_.erase(untold_.begin());
    // A breakpoint stops its thread again when it goes on, and a step is asked for again.
    std::erase_if(untold_, [](const Stop& stop) { return stop.reason != Stop::Reason::kWatchpoint; });
    stopped_thread_ = thread_ = stepping_ = stop_->thread;
    return true;
}

// Z and z: kind, address, length of the range or the instruction. Conditions and commands are GDB's own business.
Session::Answer Session::change_point(bool insert, Fields fields) {
    auto kind = fields.number();
    if (!kind || *kind > static_cast<uint64_t>(PointKind::kAccess)) return kNotSupported;
    if (!fields.skip(',')) return kBadPacket;
    auto address = fields.number();
    if (!address || !fields.skip(',')) return kBadPacket;
    auto length = fields.number();
    if (!length || (!fields.at_end() && !fields.skip(';'))) return kBadPacket;
    Point point{static_cast<PointKind>(*kind), *address, *length};
    bool watches = point.kind >= PointKind::kWrite;
    if (watches && (*length == 0 || *length - 1 > ~*address)) return kBadPacket;
    if (!watches) point.length = 0;  // says how long the instruction is, which does not matter here
    if (insert && points_.size() >= kMaxPoints && !points_.contains(point)) return kTooManyPoints;
    points_changed_ |= insert ? points_.insert(point).second : points_.erase(point) > 0;
    return kOk;
}

void Session::apply_points() {
    // GDB takes its points out at every stop and puts them in again: usually nothing is changed by that.
    if (!points_changed_) return;
    points_changed_ = false;
    std::vector<Point> points(points_.begin(), points_.end());
    if (points == applied_points_) return;
    target_.set_points(points);
    applied_points_ = std::move(points);
}

}  // namespace doppel::machine::gdb
