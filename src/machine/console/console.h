// The machine's console: what stands behind its first serial port.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "device/character.h"
#include "machine/sandbox/file_remover.h"
#include "machine/spec/specification.h"

namespace doppel::machine {

// A pair of descriptors on an event loop between the guest and the outside. Output is queued and written by the loop;
// nothing is lost on a slow reader: above kHighWater each write waits, kPatience at most (it holds the device's lock),
// which slows the guest to a crawl and leaves the loop free. Without any reader (it vanished, nobody is connected)
// output is discarded. Input that the device refuses is kept and offered again; reading stops meanwhile.
//
// `write` and `room_again` come from any thread; everything else belongs to the loop's thread, or to the time when the
// loop does not run. A console outlives every run of its loop. Ignores SIGPIPE for the process.
class Console : public device::CharacterBackend {
  public:
    static constexpr size_t kHighWater = 256 << 10;  // bytes of output
    static constexpr size_t kLimit = 16 << 20;       // beyond this a flood into a stuck reader is dropped
    static constexpr int kPatience = 20;             // milliseconds

    // `quit` is called on the loop's thread when the user wants to end the machine (Ctrl-A x on a terminal). A socket
    // is given to `remover`; without one it stays when the console goes.
    static Result<std::unique_ptr<Console>> open(const ConsoleChoice& choice, EventLoop& loop,
                                                 std::function<void()> quit, sandbox::FileRemover* remover = nullptr);
    ~Console() override;
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    // Input goes to `device` from now on, which must outlive the console's loop. Call once.
    void connect(device::CharacterDevice& device);

    void write(std::span<const uint8_t> bytes) final;
    void room_again() final;

    // After the loop has ended: writes what is queued. On stdio, waits for the reader for as long as no blocked signal
    // to end the process is pending, then gives the terminal back; elsewhere gives a reader up that takes nothing for a
    // second. On a pty, leaves its reader a second of the loop's clock to close it.
    virtual void finish();

    // What a user needs to reach it, for one line of information: "/dev/pts/3". Empty when there is nothing to say.
    virtual std::string location() const { return {}; }

  protected:
    explicit Console(EventLoop& loop);

    // Both may be -1; equal for a socket or a pty. They are watched, not owned. Detaching unwatches them.
    void attach(int in, int out);
    void detach();
    bool attached() const { return in_ >= 0 || out_ >= 0; }

    virtual void on_connect() {}                                            // the device is there
    virtual void on_input(std::span<const uint8_t> bytes) { keep(bytes); }  // what was read
    virtual bool may_read() { return true; }                                // false: `pause_input` was called
    virtual void on_end(int error) { (void)error, stop_input(); }           // end of input, or errno of the read
    virtual void on_lost(int error) { (void)error, discard_output(); }      // the reader of the output vanished
    virtual bool waits_for_reader() const { return false; }                 // finish() waits without end
    virtual size_t input_limit() const { return 1; }                        // reads while fewer bytes are kept

    void keep(std::span<const uint8_t> bytes);     // for the device, behind what waits already
    void enqueue(std::span<const uint8_t> bytes);  // output, without waiting
    void discard_output();                         // from now on; also what is queued
    void take_output();                            // queue output again
    void stop_input();                             // until the next attach
    void pause_input(bool paused);
    EventLoop& loop() { return loop_; }
    static bool end_is_pending();  // a blocked signal that ends the process

  private:
    struct Watch {
        int fd = -1;
        uint32_t events = 0;
    };
    void deliver();
    void read_some();
    void drain();
    bool write_some();  // false: nothing more can be written now
    void update();      // makes the loop watch for what is wanted
    void set_watch(Watch& watch, int fd, uint32_t events);
    void ready(bool input, uint32_t events);
    size_t queued_locked() const { return queue_.size() + writing_size_; }

    EventLoop& loop_;
    device::CharacterDevice* device_ = nullptr;
    int in_ = -1;
    int out_ = -1;
    Watch in_watch_;
    Watch out_watch_;
    bool paused_ = false;
    bool in_unwatchable_ = false;  // a regular file: always ready
    bool read_posted_ = false;
    bool out_blocked_ = false;
    std::vector<uint8_t> kept_;     // input that the device has not taken yet
    std::vector<uint8_t> writing_;  // output taken from the queue
    size_t written_ = 0;            // of it, from the front
    EventLoop::Timer gather_;

    std::mutex lock_;  // before the loop's own; never held when the device is called
    std::condition_variable room_;
    std::vector<uint8_t> queue_;
    size_t writing_size_ = 0;    // what is left of `writing_`
    bool drain_posted_ = false;  // or its timer runs: no need to wake the loop
    bool discarding_ = true;
};

}  // namespace doppel::machine
