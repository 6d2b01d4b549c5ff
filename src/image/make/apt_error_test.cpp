#include "image/make/apt_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::image {

namespace {

using testing::HasSubstr;
using testing::Not;

// What apt 2.6 and 3.0 said when these things happened to it.
std::string message(std::string_view said) {
    return apt_error({"fetch package index", "http://mirror/debian", "stable", "/keys.gpg"}, said).message();
}

TEST(AptError, TellsAMirrorThatIsDown) {
    auto text = message(
        "Err:1 http://mirror/debian stable InRelease\n"
        "E: Failed to fetch http://mirror/debian/dists/stable/InRelease  Could not connect to mirror:80 (10.0.0.1). - "
        "connect (111: "
        "Connection refused)\n"
        "E: Some index files failed to download. They have been ignored, or old ones used instead.\n");
    EXPECT_THAT(text, HasSubstr("http://mirror/debian/dists/stable/InRelease: the mirror cannot be reached; "));
}

TEST(AptError, TellsANameThatDoesNotResolve) {
    EXPECT_THAT(message("E: Failed to fetch http://m/debian/dists/stable/InRelease  Could not resolve 'm'\n"),
                HasSubstr("name cannot be resolved"));
    EXPECT_THAT(message("E: Failed to fetch http://m/debian/dists/stable/InRelease  Temporary failure resolving 'm'\n"),
                HasSubstr("name cannot be resolved"));
}

TEST(AptError, TellsASuiteThatIsMissingFromOneThatIsNotSigned) {
    EXPECT_THAT(message("Err:2 http://mirror/debian nosuch Release\n  404  Not Found [IP: 10.0.0.1 80]\n"
                        "E: The repository 'http://mirror/debian nosuch Release' does not have a Release file.\n"),
                HasSubstr("does not have it (suite stable)"));
    EXPECT_THAT(
        message("E: Failed to fetch http://mirror/debianx/dists/stable/InRelease  400  Bad Request [IP: 10.0.0.1 80]\n"
                "E: The repository 'http://mirror/debianx stable InRelease' is not signed.\n"),
        HasSubstr("does not have it"));
    EXPECT_THAT(message("E: The repository 'http://mirror/debian stable Release' is not signed.\n"),
                HasSubstr("stable is not signed"));
}

TEST(AptError, TellsABadSignature) {
    for (const char* said : {"W: GPG error: http://mirror/debian stable InRelease: The following signatures couldn't "
                             "be verified because the public key is "
                             "not available: NO_PUBKEY 6ED0E7B82643E131\nE: The repository 'http://mirror/debian "
                             "stable InRelease' is not signed.\n",
                             "W: GPG error: http://mirror/debian stable InRelease: The following signatures were "
                             "invalid: BADSIG 6ED0E7B82643E131 x\n"
                             "E: The repository 'http://mirror/debian stable InRelease' is not signed.\n",
                             "W: OpenPGP signature verification failed: http://mirror/debian stable InRelease: "
                             "Sub-process /usr/bin/sqv returned an error "
                             "code (1), error message is: Missing key 0123, which is needed to verify signature.\n"
                             "E: The repository 'http://mirror/debian stable InRelease' is not signed.\n"}) {
        EXPECT_THAT(message(said),
                    HasSubstr("http://mirror/debian: its Release file has no valid signature by a key in /keys.gpg; "));
    }
}

TEST(AptError, TellsTamperedFiles) {
    EXPECT_THAT(
        message("E: Failed to fetch http://mirror/debian/pool/b.deb  Hash Sum mismatch\n   Hashes of expected file:\n"),
        HasSubstr("http://mirror/debian/pool/b.deb: its content is not what the signed index says"));
    EXPECT_THAT(message("E: Failed to fetch http://mirror/debian/Packages.xz  File has unexpected size (744 != 968). "
                        "Mirror sync in "
                        "progress? [IP: 10.0.0.1 80]\n"),
                HasSubstr("its content is not what the signed index says"));
}

TEST(AptError, TellsAFullDisk) {
    EXPECT_THAT(message("E: You don't have enough free space in /cache/.\n"), HasSubstr("no space is left"));
    EXPECT_THAT(
        message(
            "E: Failed to fetch http://mirror/b.deb  Error writing to file - write (28: No space left on device)\n"),
        HasSubstr("no space is left"));
}

TEST(AptError, TellsPackagesThatTheSuiteLacks) {
    EXPECT_THAT(message("E: No packages found\n"), HasSubstr("has no such package"));
    EXPECT_THAT(message("E: Unable to locate package foo\n"), HasSubstr("has no such package"));
}

TEST(AptError, QuotesTheFirstComplaintItDoesNotKnowOnOneLine) {
    auto text = message("Reading...\nW: minor\nE: Something \x1b[31mnew\nE: more\n");
    EXPECT_THAT(text, HasSubstr("Something ?[31mnew; "));
    EXPECT_THAT(text, Not(HasSubstr("more")));
    EXPECT_THAT(message(""), HasSubstr("without saying why"));
    EXPECT_LT(message("E: " + std::string(100'000, 'x')).size(), 1000u);
}

}  // namespace

}  // namespace doppel::image
