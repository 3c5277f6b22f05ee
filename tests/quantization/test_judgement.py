import pytest

from rookery.quantization.judgement import has_int8_instructions


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ("GenuineIntel/6/85 avx512f avx512_vnni", True),
        ("GenuineIntel/6/183 avx2 avx_vnni", True),
        ("GenuineIntel/6/143 amx_int8 amx_tile", True),
        ("AuthenticAMD/25/1 avx avx2 fma", False),
        ("", False),
    ],
)
def test_int8_is_quick_where_the_cpu_multiplies_it_at_once(cpu, expected):
    assert has_int8_instructions(cpu) == expected
