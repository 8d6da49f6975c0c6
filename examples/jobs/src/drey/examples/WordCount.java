package drey.examples;

import java.util.Locale;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Counts the words of a text file and ends. Without {@code --output} the counts go to the TaskManager's
 * standard output.
 */
public final class WordCount {
    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words, "input", "output");
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();

        DataStream<String> counts = environment
                .fromSource(
                        FileSource.forRecordStreamFormat(
                                        new TextLineInputFormat(), arguments.requiredPath("input"))
                                .build(),
                        WatermarkStrategy.noWatermarks(),
                        "text",
                        Types.STRING)
                .uid("text")
                .flatMap(WordCount::split)
                .returns(Types.STRING)
                .name("words")
                .uid("words")
                .keyBy(word -> word, Types.STRING)
                .process(new CountToTheEnd())
                .returns(Types.STRING)
                .name("count")
                .uid("count");

        if (arguments.path("output").isPresent()) {
            counts.sinkTo(Lines.in(arguments.requiredPath("output"))).name("counts").uid("counts");
        } else {
            counts.print().name("counts").uid("counts");
        }
        environment.execute();
    }

    private static void split(String line, Collector<String> out) {
        for (String word : line.toLowerCase(Locale.ROOT).split("[^\\p{L}']+")) {
            if (!word.isEmpty()) {
                out.collect(word);
            }
        }
    }

    /** Counts until the input ends: only then does event time reach its last moment. */
    private static final class CountToTheEnd extends KeyedProcessFunction<String, String, String> {
        private final ValueStateDescriptor<Long> description = new ValueStateDescriptor<>("count", Types.LONG);

        @Override
        public void processElement(String word, Context context, Collector<String> out) throws Exception {
            ValueState<Long> state = getRuntimeContext().getState(description);
            state.update(state.value() == null ? 1 : state.value() + 1);
            context.timerService().registerEventTimeTimer(Long.MAX_VALUE);
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<String> out) throws Exception {
            out.collect(context.getCurrentKey() + " " + getRuntimeContext().getState(description).value());
        }
    }
}
