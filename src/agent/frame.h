// The frames of the guest agent's protocol (docs/agent.md): one definition for the agent, the machine and its clients.
//
// A frame is a header of 12 bytes (u16 magic, u8 type, u8 stream, u32 channel, u32 length, all little-endian) and
// `length` bytes of payload. Channel 0 is the session's own. Here as in the other headers of this folder nothing throws
// and nothing is used that a small static program would not have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace doppel::agent {

inline constexpr uint32_t kVersion = 1;        // the newest that is spoken here
inline constexpr uint32_t kOldestVersion = 1;  // the oldest
inline constexpr size_t kHeaderSize = 12;
inline constexpr size_t kMaxFrame = 32 << 10;  // bytes with the header: what Linux writes to a port at once
inline constexpr size_t kMaxPayload = kMaxFrame - kHeaderSize;
inline constexpr uint32_t kMaxChannels = 64;          // of a session, at the same time
inline constexpr uint32_t kInitialWindow = 64 << 10;  // bytes of DATA that each side may send on a new channel
inline constexpr uint32_t kMaxWindow = 1 << 20;       // the most that a side may ever be allowed to send

enum class FrameType : uint8_t {
    kHello = 1,    // both ways, channel 0: Hello
    kOpen = 2,     // to the agent: `stream` is the Service, the payload its request
    kData = 3,     // bytes of a stream, at least one; they use up credit
    kEnd = 4,      // the stream ends
    kCredit = 5,   // u32: so many bytes more may be sent on the channel
    kControl = 6,  // to the agent: Control
    kClose = 7,    // to the agent: nobody is interested any more; a RESULT follows all the same
    kInfo = 8,     // from the agent, at most once: what there is to know before the data
    kResult = 9,   // from the agent: how it ended; the last frame of its channel
};

// Of DATA and END.
enum class Stream : uint8_t { kInput = 0, kOutput = 1, kError = 2 };

struct Frame {
    FrameType type{};
    uint8_t stream = 0;
    uint32_t channel = 0;
    std::span<const uint8_t> payload;
};

// Appends a frame; `payload` is at most kMaxPayload.
void append_frame(std::vector<uint8_t>& to, const Frame& frame);

// How a session begins: the host sends one with a session number of its own, the agent answers with the same. It may
// come at any time, between any two frames, and ends every channel.
struct Hello {
    uint32_t version = kVersion;
    uint32_t oldest_version = kOldestVersion;
    uint64_t session = 0;
    uint64_t services = 0;  // bit N: Service N
};
inline constexpr size_t kHelloSize = 32;
void append_hello(std::vector<uint8_t>& to, const Hello& hello);
// nullopt for a payload that is none.
std::optional<Hello> parse_hello(std::span<const uint8_t> payload);
// The version that both speak; nullopt when there is none.
std::optional<uint32_t> common_version(const Hello& one, const Hello& other);

// Cuts bytes that arrive in any pieces into frames. Begins (and begins again after `lose`) by looking for a HELLO and
// skips everything in front of it.
class FrameReader {
  public:
    enum class Found { kNothing, kFrame, kBroken };

    // Keeps at most kMaxFrame bytes beyond what `next` has consumed, if every frame is taken before more is fed.
    void feed(std::span<const uint8_t> bytes);
    // The next whole frame; its payload stays valid until `feed` or `lose`. kBroken: what comes is no frame; nothing
    // else is found until `lose`.
    Found next(Frame& frame);
    // Looks for a HELLO from here on.
    void lose() { synchronised_ = broken_ = false; }
    bool synchronised() const { return synchronised_; }
    size_t kept() const { return bytes_.size() - begin_; }  // bytes

  private:
    bool find_hello();

    std::vector<uint8_t> bytes_;
    size_t begin_ = 0;  // of what is not consumed
    bool synchronised_ = false;
    bool broken_ = false;
};

}  // namespace doppel::agent
