"""Makes a short clip of moving gradients and noise (clip.y4m, frame.ppm) and two seconds of sound (sound.wav)."""
import math
import random
import struct
import wave

WIDTH, HEIGHT, FRAMES = 208, 144, 4
source = random.Random(20260101)
with open("clip.y4m", "wb") as clip:
    clip.write(b"YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg\n" % (WIDTH, HEIGHT))
    for frame in range(FRAMES):
        clip.write(b"FRAME\n")
        for scale, slope in ((1, 1), (2, 3), (2, 5)):
            for y in range(HEIGHT // scale):
                clip.write(bytes(
                    (x * slope + y * scale + frame * 7 + source.randrange(1 + y // 16) + 60 * (x // 16 + y // 16 & 1)) & 255
                    for x in range(WIDTH // scale)
                ))
with open("frame.ppm", "wb") as picture:
    picture.write(b"P6 %d %d 255\n" % (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            picture.write(bytes(((x + y) & 255, (x * y >> 4) & 255, source.randrange(256))))
with wave.open("sound.wav", "wb") as sound:
    sound.setparams((2, 2, 44100, 0, "NONE", ""))
    for t in range(2 * 44100):
        left = int(9000 * math.sin(t / 20) + 9000 * math.sin(t * t / 3e6))
        sound.writeframesraw(struct.pack("<hh", left + source.randrange(-99, 99), left // 3))
