// The session's error replies: Linux errno values, as GDB's File-I/O has them.
#pragma once

#include <string>

namespace doppel::machine::gdb {

inline const std::string kOk = "OK";
inline const std::string kNotSupported;           // the protocol's answer to what is not known
inline const std::string kNoThread = "E03";       // ESRCH
inline const std::string kBadAddress = "E0e";     // EFAULT
inline const std::string kBusy = "E10";           // EBUSY: the target is running
inline const std::string kBadPacket = "E16";      // EINVAL
inline const std::string kTooManyPoints = "E1c";  // ENOSPC

}  // namespace doppel::machine::gdb
