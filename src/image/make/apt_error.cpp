#include "image/make/apt_error.h"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace doppel::image {

namespace {

constexpr size_t kLongest = 300;  // of a part that apt quotes from elsewhere

enum class Cause {
    kNoSpace,
    kSignature,
    kDigest,
    kName,
    kConnection,
    kCertificate,
    kClock,
    kMissing,
    kUnsigned,
    kPackage,
    kOther
};

struct Phrase {
    std::string_view text;
    Cause cause;
};

// In order of precedence: apt reports consequences ("is not signed") beside their causes ("404").
constexpr std::array kPhrases{
    Phrase{"No space left on device", Cause::kNoSpace},
    Phrase{"don't have enough free space", Cause::kNoSpace},
    Phrase{"Disk quota exceeded", Cause::kNoSpace},
    Phrase{"NO_PUBKEY", Cause::kSignature},
    Phrase{"BADSIG", Cause::kSignature},
    Phrase{"EXPKEYSIG", Cause::kSignature},
    Phrase{"REVKEYSIG", Cause::kSignature},
    Phrase{"Missing key", Cause::kSignature},
    Phrase{"/sqv returned an error", Cause::kSignature},
    Phrase{"invalid signature", Cause::kSignature},
    Phrase{"signature verification failed", Cause::kSignature},
    Phrase{"couldn't be verified", Cause::kSignature},
    Phrase{"Clearsigned file isn't valid", Cause::kSignature},
    Phrase{"Hash Sum mismatch", Cause::kDigest},
    Phrase{"unexpected size", Cause::kDigest},
    Phrase{"Size mismatch", Cause::kDigest},
    Phrase{"Could not resolve", Cause::kName},
    Phrase{"failure resolving", Cause::kName},
    Phrase{"happened resolving", Cause::kName},
    Phrase{"Could not connect", Cause::kConnection},
    Phrase{"Unable to connect", Cause::kConnection},
    Phrase{"Cannot initiate the connection", Cause::kConnection},
    Phrase{"Connection refused", Cause::kConnection},
    Phrase{"Connection failed", Cause::kConnection},
    Phrase{"Connection timed out", Cause::kConnection},
    Phrase{"Network is unreachable", Cause::kConnection},
    Phrase{"Error reading from server", Cause::kConnection},
    Phrase{"Could not handshake", Cause::kCertificate},
    Phrase{"ertificate verification failed", Cause::kCertificate},
    Phrase{" is expired ", Cause::kClock},
    Phrase{"is not valid yet", Cause::kClock},
    Phrase{"does not have a Release file", Cause::kMissing},
    Phrase{"404  Not Found", Cause::kMissing},
    Phrase{"400  Bad Request", Cause::kMissing},
    Phrase{"403  Forbidden", Cause::kMissing},
    Phrase{"File not found", Cause::kMissing},
    Phrase{"is not signed", Cause::kUnsigned},
    Phrase{"cannot be authenticated", Cause::kUnsigned},
    Phrase{"Unable to locate package", Cause::kPackage},
    Phrase{"No packages found", Cause::kPackage},
    Phrase{"has no installation candidate", Cause::kPackage},
    Phrase{"Can't find a source to download", Cause::kPackage},
};

Cause cause_of(std::string_view said) {
    for (const auto& phrase : kPhrases) {
        if (said.find(phrase.text) != said.npos) return phrase.cause;
    }
    return Cause::kOther;
}

std::string_view line_at(std::string_view text, size_t start) {
    return text.substr(start, std::min(text.find('\n', start), text.size()) - start);
}

// "E: Failed to fetch ADDRESS  REASON"
std::string_view failed_address(std::string_view said) {
    constexpr std::string_view kIntroduction = "Failed to fetch ";
    size_t found = said.find(kIntroduction);
    if (found == said.npos) return {};
    std::string_view rest = line_at(said, found + kIntroduction.size());
    return rest.substr(0, std::min(rest.find(' '), kLongest));
}

std::string first_complaint(std::string_view said) {
    for (std::string_view mark : {"E: ", "W: "}) {
        for (size_t found = said.find(mark); found != said.npos; found = said.find(mark, found + 1)) {
            if (found == 0 || said[found - 1] == '\n')
                return std::string(line_at(said, found + mark.size()).substr(0, kLongest));
        }
    }
    return "apt failed without saying why";
}

}  // namespace

Error apt_error(const AptContext& context, std::string_view said) {
    Error error{context.failed, context.subject, {}, {}};
    if (auto address = failed_address(said); !address.empty()) error.subject = address;
    constexpr std::string_view kOtherMirror = "choose another mirror with --mirror";
    switch (cause_of(said)) {
        case Cause::kNoSpace:
            error.why = "no space is left in the cache directory";
            error.cure = "free some space there, or set XDG_CACHE_HOME to a directory with room";
            break;
        case Cause::kSignature:
            error.subject = context.subject;
            error.why = "its Release file has no valid signature by a key in " + context.keyring;
            error.cure = "upgrade the package debian-archive-keyring, or " + std::string(kOtherMirror);
            break;
        case Cause::kDigest:
            error.why = "its content is not what the signed index says (tampered with, or a mirror in mid-update)";
            error.cure = "try again later, or " + std::string(kOtherMirror);
            break;
        case Cause::kName:
            error.why = "the mirror's name cannot be resolved";
            error.cure = "check the network and its name server, or " + std::string(kOtherMirror);
            break;
        case Cause::kConnection:
            error.why = "the mirror cannot be reached";
            error.cure = "check the network and apt's proxy settings, or " + std::string(kOtherMirror);
            break;
        case Cause::kCertificate:
            error.why = "the mirror's TLS certificate cannot be verified";
            error.cure = "install ca-certificates, check the clock, or " + std::string(kOtherMirror);
            break;
        case Cause::kClock:
            error.why = "its Release file is out of date, or this machine's clock is wrong";
            error.cure = "check the clock, or " + std::string(kOtherMirror);
            break;
        case Cause::kMissing:
            error.why = "the mirror does not have it (suite " + context.suite + ")";
            error.cure = "check --suite and --mirror";
            break;
        case Cause::kUnsigned:
            error.subject = context.subject;
            error.why = "the mirror's suite " + context.suite + " is not signed";
            error.cure = kOtherMirror;
            break;
        case Cause::kPackage:
            error.why = "the suite " + context.suite + " has no such package for this architecture";
            error.cure = "check --suite and --arch";
            break;
        case Cause::kOther:
            error.why = first_complaint(said);
            error.cure = "see whether apt-get update works, or " + std::string(kOtherMirror);
            break;
    }
    return error;
}

}  // namespace doppel::image
