#include "device/device_fuzzing.h"
#include "device/test_finisher.h"

using namespace doppel;
using namespace doppel::device;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    TestFinisher finisher([](Finish finish) { fuzz_require(finish.kind == FinishKind::kFail || finish.code == 0); });
    fuzz_device({finisher, finisher, TestFinisher::kSize, {}}, FuzzBytes(data, size));
    return 0;
}
