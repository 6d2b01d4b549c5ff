#include "base/error.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace doppel {

namespace {

std::string cure_for(int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
            return "free some space there";
        case EACCES:
        case EPERM:
            return "check its permissions";
        case ENOENT:
            return "check the path";
        case EMFILE:
            return "raise the limit of open files (ulimit -n)";
        case ENOMEM:
            return "free some memory, or ask for less";
        default:
            return {};
    }
}

}  // namespace

std::string printable(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return text;
}

std::string Error::message() const {
    std::string line;
    for (const std::string* part : {&failed, &subject, &why}) {
        if (part->empty()) continue;
        if (!line.empty()) line += ": ";
        line += *part;
    }
    if (!cure.empty()) line += "; " + cure;
    return printable(std::move(line));
}

Error Error::usage(std::string subject, std::string why, std::string cure) {
    return {"usage", std::move(subject), std::move(why), std::move(cure), ErrorKind::kUsage};
}

Error Error::system(std::string failed, std::string subject, int error_number) {
    return {std::move(failed), std::move(subject), std::strerror(error_number), cure_for(error_number)};
}

}  // namespace doppel
