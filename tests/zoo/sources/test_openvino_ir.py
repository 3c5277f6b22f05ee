"""What a model.xml says of a network, and that no bytes break the reader."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.backends.protocol import TensorSpec
from rookery.errors import ModelInvalid
from rookery.zoo.sources.openvino_ir import read_signature

NET = """<?xml version="1.0"?>
<net name="net" version="11">
  <layers>
    <layer id="0" name="photo" type="Parameter">
      <output><port id="0" precision="FP32" names="photo,photo:0">
        <dim>-1</dim><dim>3</dim><dim>8</dim><dim>6</dim>
      </port></output>
    </layer>
    <layer id="1" name="soft" type="SoftMax">
      <input><port id="0" precision="FP32"><dim>-1</dim></port></input>
      <output><port id="1" precision="FP16" names="scores:0">
        <dim>1</dim><dim>1000</dim>
      </port></output>
    </layer>
    <layer id="2" name="out" type="Result"><input><port id="0"/></input></layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
    <edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
  </edges>
</net>
"""


def test_names_types_and_shapes_are_read():
    signature = read_signature(NET.encode(), "net.xml")
    assert signature.inputs == (TensorSpec("photo", "float32", (None, 3, 8, 6)),)
    assert signature.outputs == (TensorSpec("scores", "float16", (1, 1000)),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<net/>",
        "<html><layer/></html>",
        NET.replace("<dim>3</dim>", "<dim>three</dim>"),
        NET.replace("<net ", '<!DOCTYPE net [<!ENTITY a "aaaa">]><net '),
        NET[:300],
    ],
)
def test_what_is_no_model_is_refused_by_name(text):
    with pytest.raises(ModelInvalid, match=r"net\.xml"):
        read_signature(text.encode(), "net.xml")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_no_encoding_hides_entities(encoding):
    text = NET.replace("<net ", '<!DOCTYPE net [<!ENTITY a "net">]><net ').replace(
        'name="net"', 'name="&a;"'
    )
    text = text.replace('version="1.0"', f'version="1.0" encoding="{encoding}"', 1)
    with pytest.raises(ModelInvalid, match=r"net\.xml is no model of OpenVINO's"):
        read_signature(text.encode(encoding), "net.xml")


@given(st.binary(max_size=20), st.integers(0, len(NET)))
def test_damage_is_refused_or_harmless(noise, at):
    data = NET.encode()
    # Any other error than a refusal fails the test.
    with suppress(ModelInvalid):
        read_signature(data[:at] + noise + data[at + len(noise) :], "net.xml")
